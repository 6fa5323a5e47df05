// Package defaulted knows the fields that the API server fills in before policies
// see an object, and that a manifest may lack: those of the kinds that people write
// policies for, as Kubernetes 1.36 fills them in. What it fills in because of other
// fields or of the cluster is left out.
package defaulted

import "strings"

// Values of Field that are no scalar.
const (
	Struct  = "(struct)" // which is always there, in Go
	Empty   = "{}"
	Depends = "(other)" // on other fields
)

// pod are the fields of a Pod, and of the templates of what creates Pods; container
// those of one container, and probe those of its probes.
var (
	pod = map[string]string{
		"spec.dnsPolicy":                       "ClusterFirst",
		"spec.enableServiceLinks":              "true",
		"spec.restartPolicy":                   "Always",
		"spec.schedulerName":                   "default-scheduler",
		"spec.securityContext":                 Empty,
		"spec.terminationGracePeriodSeconds":   "30",
		"spec.volumes.configMap.defaultMode":   "420",
		"spec.volumes.downwardAPI.defaultMode": "420",
		"spec.volumes.projected.defaultMode":   "420",
		"spec.volumes.secret.defaultMode":      "420",
	}
	container = map[string]string{
		"env.valueFrom.fieldRef.apiVersion": "v1",
		"imagePullPolicy":                   Depends,
		"ports.protocol":                    "TCP",
		"resources":                         Struct,
		"terminationMessagePath":            "/dev/termination-log",
		"terminationMessagePolicy":          "File",
	}
	probe = map[string]string{
		"failureThreshold": "3",
		"httpGet.path":     "/",
		"httpGet.scheme":   "HTTP",
		"periodSeconds":    "10",
		"successThreshold": "1",
		"timeoutSeconds":   "1",
	}
)

// others are the fields of other kinds.
var others = map[string]map[string]string{
	"CronJob": {
		"spec.concurrencyPolicy": "Allow", "spec.failedJobsHistoryLimit": "1",
		"spec.successfulJobsHistoryLimit": "3", "spec.suspend": "false",
	},
	"DaemonSet": {"spec.revisionHistoryLimit": "10", "spec.updateStrategy": Struct, "spec.updateStrategy.type": "RollingUpdate"},
	"Deployment": {
		"spec.progressDeadlineSeconds": "600", "spec.replicas": "1", "spec.revisionHistoryLimit": "10",
		"spec.strategy": Struct, "spec.strategy.type": "RollingUpdate",
	},
	"HorizontalPodAutoscaler": {"spec.minReplicas": "1"},
	"Job": {
		"spec.backoffLimit": Depends, "spec.completionMode": "NonIndexed", "spec.parallelism": "1", "spec.suspend": "false",
	},
	"NetworkPolicy": {
		"spec.policyTypes": Depends, "spec.ingress.ports.protocol": "TCP", "spec.egress.ports.protocol": "TCP",
	},
	"PersistentVolume":      {"spec.persistentVolumeReclaimPolicy": "Retain", "spec.volumeMode": "Filesystem"},
	"PersistentVolumeClaim": {"spec.resources": Struct, "spec.volumeMode": "Filesystem"},
	"ReplicaSet":            {"spec.replicas": "1"},
	"ReplicationController": {"spec.replicas": "1"},
	"Secret":                {"type": "Opaque"},
	"Service": {
		"spec.internalTrafficPolicy": "Cluster", "spec.ports.protocol": "TCP", "spec.ports.targetPort": Depends,
		"spec.sessionAffinity": "None", "spec.type": "ClusterIP",
	},
	"StatefulSet": {
		"spec.podManagementPolicy": "OrderedReady", "spec.replicas": "1", "spec.revisionHistoryLimit": "10",
		"spec.updateStrategy": Struct, "spec.updateStrategy.type": "RollingUpdate",
	},
	"StorageClass": {"reclaimPolicy": "Delete", "volumeBindingMode": "Immediate"},
}

// Field returns the text of what the API server fills in for a field of objects of
// a kind, or one of the constants; ok is false when it fills in nothing. The steps of path
// are names, none for the elements of lists. The templates of Pods and Jobs are
// looked into whatever the kind.
func Field(kind string, path ...string) (value string, ok bool) {
	name := strings.Join(path, ".")
	if value, ok = others[kind][name]; ok {
		return value, true
	}
	if inJob, isJob := strings.CutPrefix(name, "spec.jobTemplate."); isJob {
		if value, ok = others["Job"][inJob]; ok {
			return value, true
		}
		name = inJob
	}
	inPod, isPod := strings.CutPrefix(name, "spec.template.")
	if !isPod && kind != "Pod" {
		return "", false
	}
	if value, ok = pod[inPod]; ok {
		return value, true
	}
	for _, list := range []string{"spec.containers.", "spec.initContainers.", "spec.ephemeralContainers."} {
		field, isContainer := strings.CutPrefix(inPod, list)
		if !isContainer {
			continue
		}
		if first, rest, _ := strings.Cut(field, "."); strings.HasSuffix(first, "Probe") {
			value, ok = probe[rest]
			return value, ok
		}
		value, ok = container[field]
		return value, ok
	}
	return "", false
}
