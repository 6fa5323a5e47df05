// Package builtin lists what oneloop is made of. To add a policy language or a
// report format, add one item here.
package builtin

import (
	"github.com/oneloop-dev/oneloop/pkg/policy"
	"github.com/oneloop-dev/oneloop/pkg/policy/admission"
	"github.com/oneloop-dev/oneloop/pkg/policy/gatekeeper"
	"github.com/oneloop-dev/oneloop/pkg/policy/kyverno"
	"github.com/oneloop-dev/oneloop/pkg/policy/kyvernocel"
	"github.com/oneloop-dev/oneloop/pkg/policy/pinimages"
	"github.com/oneloop-dev/oneloop/pkg/report"
	"github.com/oneloop-dev/oneloop/pkg/report/json"
	"github.com/oneloop-dev/oneloop/pkg/report/junit"
	"github.com/oneloop-dev/oneloop/pkg/report/policyreport"
	"github.com/oneloop-dev/oneloop/pkg/report/sarif"
)

// Languages stand in the order in which they run.
var Languages = []policy.Language{
	admission.Language,  // first: the API server applies its own policies before it calls webhooks
	gatekeeper.Language, // webhooks are called by name: gatekeeper-... before kyverno-...
	kyverno.Language,
	kyvernocel.Language,
	pinimages.Language, // last: it pins what the others made
}

// Formats are the report formats of --report.
var Formats = []report.Format{
	policyreport.OpenReports,
	policyreport.PolicyReport,
	sarif.Format,
	junit.Format,
	json.Format,
}
