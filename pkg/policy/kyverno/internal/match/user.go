package match

import (
	"slices"

	"github.com/oneloop-dev/oneloop/pkg/facts"
	"github.com/oneloop-dev/oneloop/pkg/policy/kyverno/internal/spec"
	"github.com/oneloop-dev/oneloop/pkg/wildcard"
)

// anonymous reports whether a declared requester says nothing.
func anonymous(r *facts.Request) bool {
	u := &r.User
	return len(r.Roles) == 0 && len(r.ClusterRoles) == 0 &&
		u.Username == "" && u.UID == "" && len(u.Groups) == 0 && len(u.Extra) == 0
}

// matchesUser reports whether the requester has one of the roles, one of the
// cluster roles and is one of the subjects, as far as u names any.
func matchesUser(u *spec.UserInfo, r *facts.Request) bool {
	return (len(u.Roles) == 0 || intersect(u.Roles, r.Roles)) &&
		(len(u.ClusterRoles) == 0 || intersect(u.ClusterRoles, r.ClusterRoles)) &&
		(len(u.Subjects) == 0 || slices.ContainsFunc(u.Subjects, func(s spec.RBACSubject) bool { return isSubject(s, &r.User) }))
}

func intersect(a, b []string) bool {
	return slices.ContainsFunc(a, func(s string) bool { return slices.Contains(b, s) })
}

func isSubject(s spec.RBACSubject, u *facts.UserInfo) bool {
	switch s.Kind {
	case "ServiceAccount":
		return wildcard.Match("system:serviceaccount:"+s.Namespace+":"+s.Name, u.Username)
	case "Group":
		return slices.ContainsFunc(u.Groups, func(g string) bool { return wildcard.Match(s.Name, g) })
	case "User":
		return wildcard.Match(s.Name, u.Username)
	}
	return false
}
