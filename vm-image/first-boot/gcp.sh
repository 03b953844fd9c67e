# shellcheck shell=bash
# Settings from Google Compute Engine: the instance's attribute executor-settings, and secrets from Secret Manager by the instance's
# service account. Sourced by configure-executor.

readonly metadata=${METADATA_URL:-http://169.254.169.254}/computeMetadata/v1/instance
readonly secret_manager=${SECRETS_URL:-https://secretmanager.googleapis.com}

# Anyone with compute.instances.get reads attributes.
cloud_keeps_secrets() { return 1; }

cloud_where() { echo 'the attribute executor-settings of this instance'; }

# metadata_get PATH
metadata_get() { ask "$metadata/$1" --header 'Metadata-Flavor: Google' </dev/null; }

cloud_settings() { metadata_get attributes/executor-settings; }

# cloud_secret NAME REFERENCE: a reference is projects/PROJECT/secrets/SECRET, with /versions/VERSION or the latest.
cloud_secret() {
  local name=$1 reference=$2 token answer
  [[ $reference =~ ^projects/[a-z0-9:.-]+/secrets/[A-Za-z0-9_-]+(/versions/[a-z0-9_-]+)?$ ]] ||
    stop "${name}_SECRET is not of the form projects/PROJECT/secrets/SECRET or …/versions/VERSION"
  if [[ $reference != */versions/* ]]; then reference=$reference/versions/latest; fi
  token=$(metadata_get service-accounts/default/token | jq --raw-output '.access_token // empty') && [[ -n $token ]] ||
    stop "${name}_SECRET: this instance has no service account, by whose right the secret is read"
  answer=$(printf 'header = "Authorization: Bearer %s"\n' "$token" | ask "$secret_manager/v1/$reference:access") ||
    stop "${name}_SECRET: $reference could not be read; does it exist, and has this instance's service account the role secretmanager.secretAccessor on it?"
  jq --raw-output '.payload.data // empty' <<<"$answer" | base64 --decode || stop "${name}_SECRET: the secret manager's answer is none"
}
