// Package pattern is the pattern language of Kyverno's ClusterPolicy: texts
// such as ">= 2 & < 10", "nginx:*|redis:*" or "1Gi-4Gi" that a scalar is
// matched against, and trees of them with anchors in their keys.
//
// It gives what pkg/engine/pattern, pkg/engine/anchor and pkg/engine/validate
// of Kyverno 1.19 give.
package pattern
