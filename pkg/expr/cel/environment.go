package cel

import (
	"fmt"
	"slices"

	"github.com/google/cel-go/cel"
	"github.com/google/cel-go/checker"
	"github.com/google/cel-go/ext"
	"github.com/google/cel-go/interpreter"
	"k8s.io/apimachinery/pkg/util/version"
	celconfig "k8s.io/apiserver/pkg/apis/cel"
	apiservercel "k8s.io/apiserver/pkg/cel"
	"k8s.io/apiserver/pkg/cel/common"
	"k8s.io/apiserver/pkg/cel/environment"
	"k8s.io/apiserver/pkg/cel/library"
	"k8s.io/apiserver/pkg/cel/mutation"
)

// An Option adds to an Environment.
type Option func(*config)

type config struct {
	params, authorizer, patches bool
	requestObjects              bool
	version                     string
	stored                      bool
	mixed                       bool
	more                        []cel.EnvOption
}

// WithParams declares params, of any type.
func WithParams() Option { return func(c *config) { c.params = true } }

// WithAuthorizer declares authorizer and authorizer.requestResource. Their value
// is an Unknown: only a cluster can tell who may do what.
func WithAuthorizer() Option { return func(c *config) { c.authorizer = true } }

// WithPatches declares what mutations are made of: the types Object, Object.spec
// and so on, with any fields, the type JSONPatch, and jsonpatch.escapeKey.
func WithPatches() Option { return func(c *config) { c.patches = true } }

// WithRequestObjects declares request.object and request.oldObject, which the
// API server does not have and Kyverno has.
func WithRequestObjects() Option { return func(c *config) { c.requestObjects = true } }

// ForVersion leaves out the functions that Kubernetes v, such as "1.31", does
// not accept in new expressions. "" is the newest version.
func ForVersion(v string) Option { return func(c *config) { c.version = v } }

// CheckVersion returns an error unless ForVersion takes v.
func CheckVersion(v string) error {
	_, err := compatible(v)
	return err
}

// compatible is the version that Kubernetes v compiles new expressions for: by
// default the one before its own, so that a cluster can be rolled back.
func compatible(v string) (*version.Version, error) {
	newest := environment.DefaultCompatibilityVersion()
	if v == "" {
		return newest, nil
	}
	parsed, err := version.ParseGeneric(v)
	if err != nil || len(parsed.Components()) < 2 {
		return nil, fmt.Errorf("expected a version of Kubernetes such as 1.31, found %q", v)
	}
	if out := version.MajorMinor(parsed.Major(), parsed.Minor()).SubtractMinor(1); out.LessThan(newest) {
		return out, nil
	}
	return newest, nil
}

// ForStored declares the functions of all versions, as the API server does for
// the expressions that it has accepted before.
func ForStored() Option { return func(c *config) { c.stored = true } }

// WithMixedLiterals lets the values of a list or map that is written out have
// different types, which the API server refuses: [1, "a"]. Kyverno's policies
// that generate have the libraries of the API server that way, but for
// comprehensions of two variables and the authorizer.
func WithMixedLiterals() Option { return func(c *config) { c.mixed = true } }

// With adds options of cel-go itself, such as a library of functions.
func With(options ...cel.EnvOption) Option {
	return func(c *config) { c.more = append(c.more, options...) }
}

// base returns the environment with the libraries of the API server.
func (c *config) base() (*cel.Env, error) {
	v, err := compatible(c.version)
	if err != nil {
		return nil, err
	}
	if c.mixed {
		return cel.NewEnv(cel.Lib(mixedLiterals{}))
	}
	kind := environment.NewExpressions
	if c.stored {
		kind = environment.StoredExpressions
	}
	return environment.MustBaseEnvSet(v).Env(kind)
}

// New returns an environment with the libraries of the API server and the
// variables object, oldObject, request and namespaceObject.
func New(options ...Option) (*Environment, error) {
	var c config
	for _, o := range options {
		o(&c)
	}
	base, err := c.base()
	if err != nil {
		return nil, fmt.Errorf("CEL environment: %w", err)
	}
	request, namespace := requestType(), namespaceType()
	if c.requestObjects {
		for _, name := range []string{"object", "oldObject"} {
			request.Fields[name] = optional(name, apiservercel.DynType)
		}
	}
	opts := []cel.EnvOption{
		cel.Variable("object", cel.DynType),
		cel.Variable("oldObject", cel.DynType),
		cel.Variable("request", request.CelType()),
		cel.Variable("namespaceObject", namespace.CelType()),
	}
	if c.params {
		opts = append(opts, cel.Variable("params", cel.DynType))
	}
	if c.authorizer {
		opts = append(opts,
			cel.Variable("authorizer", library.AuthorizerType),
			cel.Variable("authorizer.requestResource", library.ResourceCheckType))
	}
	declared, err := declare(base, request, namespace)
	if err != nil {
		return nil, err
	}
	opts = append(append(opts, declared...), inOrder)
	if c.patches {
		opts = append(opts, common.ResolverEnvOption(&mutation.DynamicTypeResolver{}), library.JSONPatch())
	}
	env, err := base.Extend(slices.Concat(opts, c.more)...)
	if err != nil {
		return nil, fmt.Errorf("CEL environment: %w", err)
	}
	return &Environment{env}, nil
}

// mixedLiterals is the environment of the API server without its validators,
// which an environment cannot get rid of.
type mixedLiterals struct{}

// CompileOptions implements cel.Library.
func (mixedLiterals) CompileOptions() []cel.EnvOption {
	return []cel.EnvOption{
		cel.EagerlyValidateDeclarations(true), cel.DefaultUTCTimeZone(true), cel.CrossTypeNumericComparisons(true), cel.OptionalTypes(),
		ext.Strings(ext.StringsVersion(2)), ext.Sets(), ext.Lists(ext.ListsVersion(3)),
		library.URLs(), library.Regex(), library.Lists(), library.Quantity(), library.IP(), library.CIDR(), library.Format(),
		library.SemverLib(library.SemverVersion(1)),
		cel.CostEstimatorOptions(checker.PresenceTestHasCost(false)),
	}
}

// ProgramOptions implements cel.Library.
func (mixedLiterals) ProgramOptions() []cel.ProgramOption {
	return []cel.ProgramOption{
		cel.EvalOptions(cel.OptOptimize, cel.OptTrackCost), cel.CostLimit(celconfig.PerCallLimit),
		cel.CostTrackerOptions(interpreter.PresenceTestHasCost(false)), cel.CostTracking(&library.CostEstimator{}),
	}
}

// declare returns the options that let expressions name the fields of types.
func declare(base *cel.Env, types ...*apiservercel.DeclType) ([]cel.EnvOption, error) {
	provider := apiservercel.NewDeclTypeProvider(types...)
	provider.SetRecognizeKeywordAsFieldName(true)
	opts, err := provider.EnvOptions(base.CELTypeProvider())
	if err != nil {
		return nil, fmt.Errorf("CEL environment: %w", err)
	}
	return opts, nil
}
