package kyvernocel

import (
	"errors"
	"slices"
	"strings"

	"github.com/google/cel-go/common/ast"

	"github.com/oneloop-dev/oneloop/pkg/expr/cel"
	"github.com/oneloop-dev/oneloop/pkg/fieldpath"
	"github.com/oneloop-dev/oneloop/pkg/policy"
	"github.com/oneloop-dev/oneloop/pkg/policy/kyvernocel/internal/spec"
	"github.com/oneloop-dev/oneloop/pkg/policy/kyvernocel/internal/template"
)

// generating finds what a GeneratingPolicy asks for besides its expressions: that
// of the placeholders of its templates.
func (v *vetting) generating(p *spec.GeneratingPolicy) {
	at := fieldpath.Path{}.Key("spec")
	v.constraints(at.Key("matchConstraints"), p.Spec.MatchConstraints)
	for i, g := range p.Spec.Generate {
		if g.Template == nil || g.Template.Interpolate != "cel" {
			continue
		}
		t, err := template.Read(g.Template.Value, true)
		if err != nil {
			continue // a fault of the policy
		}
		for _, placeholder := range t.Placeholders() {
			v.expression(at.Key("generate").Index(i).Key("template").Key("value"), placeholder.Expression)
		}
	}
}

// imageValidating finds what an ImageValidatingPolicy asks for, and what can't be
// verified here.
func (v *vetting) imageValidating(p *spec.ImageValidatingPolicy) {
	s, at := &p.Spec, fieldpath.Path{}.Key("spec")
	v.constraints(at.Key("matchConstraints"), s.MatchConstraints)
	if s.MutatesDigests() {
		v.needs(at, nil, false, "needs the digests of the images that it pins: write them into the lock with oneloop lock")
	}
	verifies := false
	var asked []string // the names of attestors
	look := func(at fieldpath.Path, text string) {
		cel.Visit(text, func(e ast.Expr) {
			switch e.Kind() {
			case ast.SelectKind:
				if sel := e.AsSelect(); isIdent(sel.Operand(), "attestors") {
					asked = append(asked, sel.FieldName())
				}
			case ast.CallKind:
				switch name := e.AsCall().FunctionName(); name {
				case "verifyImageSignatures":
					if !verifies {
						v.needs(at, nil, false, "needs to know who signed the images: oneloop lock looks for the signatures and records them")
					}
					verifies = true
				case "verifyAttestationSignatures", "extractPayload", "getImageData":
					verifies = verifies || strings.HasPrefix(name, "verify")
					v.addf(at, policy.Unsupported, policy.Fault, "%s can't be evaluated at render time, and a resource that gets there fails; move it to a policy that is not rendered, or run with onUnsupported: Warn, which pins digests all the same", name)
				}
			}
		})
	}
	for i, one := range s.Variables {
		look(at.Key("variables").Index(i).Key("expression"), one.Expression)
	}
	for i, one := range s.Validations {
		look(at.Key("validations").Index(i).Key("expression"), one.Expression)
	}
	for i := range s.Attestors {
		a := &s.Attestors[i]
		if !slices.Contains(asked, a.Name) {
			continue
		}
		if err := verifiable(a); errors.Is(err, errors.ErrUnsupported) {
			v.addf(at.Key("attestors").Index(i), policy.Unsupported, policy.Fault, "%s; move it to a policy that is not rendered, or run with onUnsupported: Warn, which pins digests all the same",
				strings.TrimSuffix(err.Error(), ": "+errors.ErrUnsupported.Error()))
		}
	}
	if s.Requires() && !verifies {
		v.addf(at, policy.Noted, policy.Warning, "required is on and the policy verifies no image: each image is refused that no other policy verifies; where none has to be verified, write validationConfigurations.required: false")
	}
}

// verifiable returns why nobody can ask an attestor.
func verifiable(a *spec.Attestor) error {
	if a.Cosign == nil {
		return errNotary
	}
	_, err := newAttestor(a.Cosign, func(s *string) string { return *s })
	return err
}
