#!/bin/sh
# Shows what the policies of argocd-demo change, with a real `kustomize build`.
# No cluster and no registry: digests come from the lock beside the policies.
set -eu
cd "$(dirname "$0")/argocd-demo"
bin=$(cd ../../bin && pwd)
out=$bin/../dist/demo
mkdir -p "$out"

"$bin/kustomize" build base > "$out/before.yaml"
PATH=$bin:$PATH "$bin/kustomize" build --enable-alpha-plugins --enable-exec . > "$out/after.yaml"

echo 'kustomize build examples/argocd-demo, without and with its policies:'
echo
color=never
if [ -t 1 ] && [ -z "${NO_COLOR:-}" ]; then color=always; fi
cd "$out"
if git --no-pager diff --no-index --no-prefix --color=$color -U2 before.yaml after.yaml; then
  echo 'no difference: the policies did not run' >&2
  exit 1
fi
echo
echo 'A second run over the result changes nothing:'
"$bin/oneloop" render -p "$bin/../examples/argocd-demo/policies" \
  --lock "$bin/../examples/argocd-demo/images.lock.yaml" after.yaml > again.yaml
cmp after.yaml again.yaml
echo 'same bytes'
