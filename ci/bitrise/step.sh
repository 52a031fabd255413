#!/bin/sh
# The inputs of step.yml are in the environment under their own names; dist takes them under its own.
# shellcheck disable=SC2154 # so that nobody assigns them here
set -eu

# No trace shows a here-document.
IFS= read -r DIST_TOKEN <<EOT
$token
EOT
export DIST_TOKEN DIST_SERVER="$server"
export DIST_MANIFEST="$manifest" DIST_FILES="$files"
export DIST_APP="$app" DIST_VERSION="$version" DIST_BUILD="$build" DIST_CHANNEL="$channel"
export DIST_DRAFT="$draft" DIST_DRY_RUN="$dry_run" DIST_STRICT="$strict"

work=$(mktemp -d)
if ! dist ci publish --help >/dev/null 2>&1; then
    curl -fsSL -o "$work/install.sh" "$dist_from/install.sh"
    sh "$work/install.sh" --version "$dist_version" --from "$dist_from" --sha256 "$dist_sha256" --prefix "$work"
    PATH=$work/bin:$PATH
fi

report=${BITRISE_DEPLOY_DIR:-$work}/dist-report
status=0
dist ci publish --report "$report" || status=$?
if [ -f "$report/publish.env" ]; then
    while IFS='=' read -r name value; do
        envman add --key "$name" --value "$value"
    done <"$report/publish.env"
    envman add --key DIST_RELEASE_JSON --value "$report/publish.json"
fi
exit "$status"
