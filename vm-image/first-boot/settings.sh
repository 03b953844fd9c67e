# shellcheck shell=bash
# shellcheck disable=SC2034,SC2154 # configure-executor sets and uses them
# The settings of the executor as an operator gives them to a machine. Sourced by configure-executor.

# Secrets: never plain in what the cloud keeps about a machine, which many may read.
readonly secrets=(EXECUTOR_FRONTEND_PASSWORD EXECUTOR_DOCKER_AUTH_CONFIG)

# What may be set. Others, such as LD_PRELOAD, are none of the executor's.
readonly settable='^(EXECUTOR_[A-Z0-9_]+|SRC_[A-Z0-9_]+|OTEL_[A-Z0-9_]+|NODE_EXPORTER_URL|DOCKER_REGISTRY_NODE_EXPORTER_URL|HTTP_PROXY|HTTPS_PROXY|NO_PROXY)$'

declare -A settings=()
runtime=

say() { printf '%s\n' "$*"; }

stop() {
  printf 'error: %s\n' "$*" >&2
  exit 3
}

is_secret() {
  local name
  for name in "${secrets[@]}"; do if [[ $name == "$1" ]]; then return; fi; done
  return 1
}

# settings_read: takes the lines of standard input, and fetches what they refer to.
settings_read() {
  local line number=0 name value
  while IFS= read -r line || [[ -n $line ]]; do
    number=$((number + 1))
    line=${line%$'\r'}
    if [[ $line =~ ^[[:space:]]*(#.*)?$ ]]; then continue; fi
    # Never the line itself: it may hold what shouldn't be there.
    [[ $line =~ ^([A-Z][A-Z0-9_]*)=(.*)$ ]] || stop "line $number of the settings is not of the form NAME=value"
    name=${BASH_REMATCH[1]} value=${BASH_REMATCH[2]}
    [[ $name =~ $settable ]] || stop "line $number of the settings: $name is none of the executor's settings"
    if [[ $value =~ ^\"(.*)\"$ || $value =~ ^\'(.*)\'$ ]]; then value=${BASH_REMATCH[1]}; fi
    if is_secret "$name"; then
      cloud_keeps_secrets || stop "line $number of the settings has $name itself, where many can read it: keep it in the secret manager, and name it by ${name}_SECRET"
    elif [[ $name == *_SECRET ]] && is_secret "${name%_SECRET}"; then
      name=${name%_SECRET}
      value=$(cloud_secret "$name" "$value") || exit
      [[ -n $value ]] || stop "${name}_SECRET: the secret is empty"
      [[ $value != *$'\n'* ]] || stop "${name}_SECRET: the secret has more than one line"
    fi
    settings[$name]=$value
  done
  for name in EXECUTOR_FRONTEND_URL EXECUTOR_FRONTEND_PASSWORD; do
    if [[ -n ${settings[$name]-} ]]; then continue; fi
    if is_secret "$name"; then stop "the settings lack ${name}_SECRET, a reference to the token in the secret manager"; fi
    stop "the settings lack $name"
  done
  # By itself the image's, whatever the package's file of settings has.
  runtime=${settings[EXECUTOR_RUNTIME]:-auto}
  if [[ $runtime == auto ]]; then runtime=$default_runtime; fi
  settings[EXECUTOR_RUNTIME]=$runtime
}

# settings_text: as systemd reads files of settings. Each value in double quotes, so that it is one whatever it holds.
settings_text() {
  local name value
  for name in $(settings_names); do
    value=${settings[$name]}
    value=${value//\\/\\\\}
    value=${value//\"/\\\"}
    value=${value//\$/\\\$}
    value=${value//\`/\\\`}
    printf '%s="%s"\n' "$name" "$value"
  done
}

settings_names() {
  if ((${#settings[@]} > 0)); then printf '%s\n' "${!settings[@]}" | sort | paste -s -d ' '; fi
}

# ask URL [ARG…]: prints the answer to a request. What of the request is secret stands on standard input, as curl reads it. The status is 0,
# 1 when there is no such thing (404), or 3 when all attempts failed, which is told.
ask() {
  local url=$1 answer code
  shift
  answer=$(curl --config - --silent --show-error --noproxy '*' --connect-timeout 5 --max-time 20 --retry 5 --retry-connrefused --retry-max-time 60 \
    --max-filesize 524288 --write-out '\n%{http_code}' "$@" "$url") || return 3
  code=${answer##*$'\n'}
  answer=${answer%$'\n'*}
  case $code in
    200) printf '%s' "$answer" ;;
    404) return 1 ;;
    *)
      # An error's answer holds no secret; cut short, since it is a stranger's.
      printf '%s answers %s: %s\n' "$url" "$code" "$(tr -cd '[:print:] ' <<<"$answer" | cut -c1-400)" >&2
      return 3
      ;;
  esac
}
