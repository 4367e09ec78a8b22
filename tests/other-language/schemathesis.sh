#!/usr/bin/env bash
# Tries the served OpenAPI document against the service with schemathesis: pip install schemathesis.
#   schemathesis.sh http://127.0.0.1:PORT [OPTION...]      against a service `test` as in tests/src/test_service.rs
set -euo pipefail
url=$1
shift
# Left out: methods that crash, block, write files or answer as much as they are asked.
exec schemathesis --config-file "$(dirname "$0")/schemathesis.toml" run "$url/openapi.json" --url "$url" \
    --exclude-operation-id die --exclude-operation-id hold --exclude-operation-id note \
    --exclude-operation-id sleep_ms --exclude-operation-id big --exclude-operation-id panic \
    --phases examples,coverage,fuzzing --checks all --max-examples 300 "$@"
