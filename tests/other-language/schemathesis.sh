#!/usr/bin/env bash
# Tries the served OpenAPI document against the service with schemathesis: pip install schemathesis.
#   schemathesis.sh http://127.0.0.1:PORT [OPTION...]      against a service `test` as in tests/src/test_service.rs
# Only methods that answer whatever they are asked: the others crash, block, write files or grow as they are told.
set -euo pipefail
url=$1
shift
methods=()
for method in echo echo_bytes sum pid fail print log steady health describe; do
    methods+=(--include-operation-id "$method")
done
exec schemathesis --config-file "$(dirname "$0")/schemathesis.toml" run "$url/openapi.json" --url "$url" \
    "${methods[@]}" --phases examples,coverage,fuzzing --checks all --max-examples 300 "$@"
