#!/bin/sh
# Runs mdm in the container, each command with the permissions that its task in deno.json has.
set -eu

mdm() {
  exec deno run --cached-only --no-prompt --config=/mdm/deno.json "$@"
}

main=/mdm/src/cli/main.ts
case "${1-}" in
  serve | worker)
    # V8 would let the young objects of a busy server have a sixth more memory in its first minutes.
    mdm --v8-flags=--max-semi-space-size=4 --allow-read --allow-write --allow-net --ignore-env \
      --allow-env=XDG_RUNTIME_DIR,LP_NATIVE_VECTOR_WIDTH,MDM_DEBUG,MDM_TOKEN,MDM_WEBHOOK_SECRET,AWS_ACCESS_KEY_ID,AWS_SECRET_ACCESS_KEY,AWS_SESSION_TOKEN,AWS_REGION,RUNPOD_WEBHOOK_GET_JOB,RUNPOD_WEBHOOK_POST_OUTPUT,RUNPOD_WEBHOOK_POST_STREAM,RUNPOD_WEBHOOK_PING,RUNPOD_PING_INTERVAL,RUNPOD_AI_API_KEY,RUNPOD_POD_ID \
      "$main" "$@"
    ;;
  health)
    mdm --allow-net --allow-env=MDM_DEBUG "$main" "$@"
    ;;
  *)
    mdm --allow-read --allow-write \
      --allow-env=XDG_RUNTIME_DIR,LP_NATIVE_VECTOR_WIDTH,MDM_DEBUG,LOG_TOKENS,LOG_STREAM \
      "$main" "$@"
    ;;
esac
