// Package strategic merges a strategic merge patch into an object.
//
// It works on plain JSON values and gives what Kyverno 1.19 gives, which
// merges with kyaml (package yaml/merge2, lists growing at the front) and
// takes the merge keys from the OpenAPI document of Kubernetes 1.21 that kyaml
// carries:
//
//   - maps are merged field by field, null deletes a field;
//   - lists with a merge key (containers by name, ports by containerPort and
//     protocol, ...) are merged element by element. Elements of the patch come
//     first, in the order of the patch;
//   - all other lists, and those of kinds that the document does not have, such
//     as custom resources, are replaced;
//   - "$patch" with delete, replace or merge in a map, or in an element of its
//     own in a list, steers the merge. The directives $setElementOrder,
//     $deleteFromPrimitiveList and $retainKeys mean nothing here: they are
//     fields like any other.
//
// Some of kyaml's results are surprising. They are kept, because the cluster
// will come to the same result, and each has a test that is named after it.
package strategic

//go:generate go run -C ../../../tests/tools/mergekeys . -o ../../../pkg/patch/strategic/table.go
