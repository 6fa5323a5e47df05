#!/usr/bin/env bash
# Renders and asks oneloop what policies change. What comes of it lies in a
# folder, for publish.sh: code, diff.md, errors and oneloop.sarif. A policy that
# fails is for publish.sh to tell; only wrong inputs fail here.
set -euo pipefail

wrong() {
  echo "error: $1" >&2
  exit 1
}

[[ $INPUT_NAME =~ ^[A-Za-z0-9._/-]{1,60}$ ]] || wrong "name is not 1 to 60 letters, digits and . _ / -"
case $INPUT_SARIF in true | false) ;; *) wrong 'sarif is neither true nor false' ;; esac
[ "$GITHUB_EVENT_NAME" != pull_request_target ] ||
  wrong 'on pull_request_target the manifests of a fork would be rendered beside a token that may write: use on: pull_request'

dir=$RUNNER_TEMP/oneloop-${INPUT_NAME//\//-}
rm -rf "$dir"
mkdir -p "$dir"

# each FLAG LINES adds an argument for each line that is not empty, behind its
# flag if there is one.
args=()
each() {
  local line
  while IFS= read -r line; do
    [ -z "$line" ] || args+=(${1:+"$1"} "$line")
  done <<<"$2"
}
each -p "$INPUT_POLICIES"
[ ${#args[@]} -gt 0 ] || wrong 'no policies'
each --lock "$INPUT_LOCK"
each --facts "$INPUT_FACTS"
each '' "$INPUT_FLAGS"
if [ "$INPUT_SARIF" = true ]; then
  [ -z "$INPUT_RENDER" ] || wrong 'code scanning shows files of the repository: with sarif, give manifests and not render'
  args+=(--report "sarif=$dir/oneloop.sarif")
fi
args+=(--exit-code -o markdown --)
if [ -n "$INPUT_RENDER" ]; then
  [ -z "$INPUT_MANIFESTS" ] || wrong 'both render and manifests'
  args+=(-)
else
  each '' "$INPUT_MANIFESTS"
  [ "${args[-1]}" != -- ] || wrong 'neither render nor manifests'
fi

program=$INPUT_PROGRAM
if [ -z "$program" ]; then
  program=$dir/oneloop
  CGO_ENABLED=0 go build -C "$GITHUB_ACTION_PATH/.." -trimpath -buildvcs=false -ldflags '-s -w' -o "$program" ./fn/oneloop
fi

# The runner takes lines of the output for commands, and these are written by
# whoever wrote the manifests.
silence=$(od -An -N16 -tx1 /dev/urandom | tr -d ' \n')
echo "::stop-commands::$silence"
code=0
if [ -n "$INPUT_RENDER" ]; then
  bash -eo pipefail -c "$INPUT_RENDER" >"$dir/manifests.yaml" 2>"$dir/errors" </dev/null || code=1
else
  : >"$dir/manifests.yaml"
fi
if [ "$code" -eq 0 ]; then
  "$program" diff "${args[@]}" <"$dir/manifests.yaml" >"$dir/diff.md" 2>>"$dir/errors" || code=$?
fi
cat "$dir/errors" >&2
echo "::$silence::"

echo "$code" >"$dir/code"
case $code in
  0) changed=false ;;
  2) changed=true ;;
  *) changed= ;;
esac
printf 'changed=%s\nmarkdown=%s\n' "$changed" "$dir/diff.md" >>"$GITHUB_OUTPUT"
