#!/usr/bin/env bash
# Puts what diff.sh found into the summary of the job, into one comment on the
# pull request, which later runs update, and into code scanning. The exit code is
# oneloop's, but changes fail only when INPUT_EXIT_CODE says so.
set -euo pipefail

for input in INPUT_EXIT_CODE INPUT_COMMENT; do
  case ${!input} in true | false) ;; *) echo "error: $input is neither true nor false" >&2; exit 1 ;; esac
done
dir=$RUNNER_TEMP/oneloop-${INPUT_NAME//\//-}
code=$(<"$dir/code")
umask 077

# The comment. A line that people don't see says whose it is.
marker="<!-- oneloop: $INPUT_NAME -->"
commit=$(jq -r '.pull_request.head.sha // empty' "$GITHUB_EVENT_PATH")
commit=${commit:-$GITHUB_SHA}
{
  echo "$marker"
  case $code in
    0) echo 'The policies change nothing.' ;;
    2) cat "$dir/diff.md" ;;
    *)
      echo '### The policies could not be applied'
      echo
      jq -Rrs '"<pre>" + (.[:8000] | @html) + "</pre>"' <"$dir/errors"
      ;;
  esac
  echo
  echo "Commit ${commit:0:12}, [run]($GITHUB_SERVER_URL/$GITHUB_REPOSITORY/actions/runs/$GITHUB_RUN_ID)."
} >"$dir/comment.md"
cat "$dir/comment.md" >>"$GITHUB_STEP_SUMMARY"

# api METHOD PATH [BODY] leaves the answer in $dir/answer, and its code in $status.
# The token goes by a file, where no list of processes shows it.
printf 'Authorization: Bearer %s\n' "$INPUT_TOKEN" >"$dir/token"
trap 'rm -f "$dir/token"' EXIT
api() {
  local body=()
  [ $# -lt 3 ] || body=(-H 'Content-Type: application/json' --data-binary "@$3")
  status=$(curl -sS --retry 3 --max-time 60 -X "$1" -H "@$dir/token" -H 'Accept: application/vnd.github+json' \
    -H 'X-GitHub-Api-Version: 2022-11-28' "${body[@]}" -o "$dir/answer" -w '%{http_code}' "$GITHUB_API_URL/repos/$GITHUB_REPOSITORY/$2")
}

# allowed WHAT PERMISSION: true when the last call did what it should, or the
# token may not do it, as for pull requests from forks. All else ends here.
allowed() {
  case $status in
    2??) return 0 ;;
    403 | 404) echo "::warning::$1 was not written, because the token may not ($2: write; never on pull requests from forks): see the summary of the job" ;;
    *)
      echo "error: $1: the API answers $status: $(head -c 500 "$dir/answer" | tr '\r\n' '  ')" >&2
      exit 1
      ;;
  esac
  return 1
}

# own_comment leaves in $id the id of the comment that an earlier run wrote. Others may
# write the marker, too.
own_comment() {
  local page
  for ((page = 1; ; page++)); do
    api GET "issues/$number/comments?per_page=100&page=$page"
    allowed 'the comment' pull-requests || { id=refused; return; }
    id=$(jq -r --arg marker "$marker" --arg author "$INPUT_AUTHOR" \
      'first(.[] | select(.user.login == $author and (.body | startswith($marker))) | .id) // empty' "$dir/answer")
    [ -z "$id" ] || return 0
    [ "$(jq length "$dir/answer")" -eq 100 ] || return 0
  done
}

number=$(jq -r '.pull_request.number // empty' "$GITHUB_EVENT_PATH")
if [ "$INPUT_COMMENT" = true ] && [ -n "$number" ]; then
  own_comment
  jq -n --rawfile body "$dir/comment.md" '{body: $body}' >"$dir/request"
  if [ "$id" = refused ]; then
    :
  elif [ -n "$id" ]; then
    api PATCH "issues/comments/$id" "$dir/request"
    allowed 'the comment' pull-requests || :
  elif [ "$code" -eq 2 ]; then # nothing to say is no comment, and a failure has the log
    api POST "issues/$number/comments" "$dir/request"
    allowed 'the comment' pull-requests || :
  fi
fi

if [ "$INPUT_SARIF" = true ] && [ -s "$dir/oneloop.sarif" ]; then
  # Its place among other analyses of the commit.
  jq -c --arg name "oneloop/$INPUT_NAME/" '.runs[].automationDetails.id = $name' "$dir/oneloop.sarif" | gzip -cn | base64 | tr -d '\n' >"$dir/sarif.gz"
  jq -n --rawfile sarif "$dir/sarif.gz" --arg commit "$GITHUB_SHA" --arg ref "$GITHUB_REF" \
    '{commit_sha: $commit, ref: $ref, sarif: $sarif, tool_name: "oneloop"}' >"$dir/request"
  api POST code-scanning/sarifs "$dir/request"
  allowed 'code scanning' security-events || :
fi

case $code in
  0) exit 0 ;;
  2) if [ "$INPUT_EXIT_CODE" = true ]; then exit 2; else exit 0; fi ;;
  *) exit "$code" ;;
esac
