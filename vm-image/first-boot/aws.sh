# shellcheck shell=bash
# shellcheck disable=SC2154 # configure-executor sets here
# Settings from EC2: the instance's user data, which begin with the line "# executor settings", and secrets from Secrets Manager or the
# Parameter Store by the instance's role. Sourced by configure-executor.
#
# There is no aws program here: Ubuntu 24.04 has none as a package, and two requests need none. See sigv4.sh.

source "$here/sigv4.sh"

readonly metadata=${METADATA_URL:-http://169.254.169.254}/latest

# Who may describe instances reads user data.
cloud_keeps_secrets() { return 1; }

cloud_where() { echo "the user data of this instance, whose first line must be \"# executor settings\""; }

# metadata_get PATH: by IMDSv2 only, with a session's token.
metadata_get() {
  local session
  session=$(ask "$metadata/api/token" --request PUT --header 'X-aws-ec2-metadata-token-ttl-seconds: 60' </dev/null) || {
    echo "the instance's metadata can't be read" >&2
    return 3
  }
  printf 'header = "X-aws-ec2-metadata-token: %s"\n' "$session" | ask "$metadata/$1"
}

cloud_settings() {
  local data
  data=$(metadata_get user-data) || return
  # Others are cloud-init's.
  [[ ${data%%$'\n'*} =~ ^'# executor settings'[[:space:]]*$ ]] || return 1
  printf '%s' "$data"
}

# cloud_secret NAME REFERENCE: a reference is the ARN of a secret or of a parameter.
cloud_secret() {
  local name=$1 reference=$2 partition service region domain=amazonaws.com target body path role credentials answer
  [[ $reference =~ ^arn:(aws|aws-cn|aws-us-gov):(secretsmanager|ssm):([a-z0-9-]+):[0-9]{12}:(secret:|parameter/)[A-Za-z0-9/_+=.@-]+$ ]] ||
    stop "${name}_SECRET is not the ARN of a secret of Secrets Manager or of a parameter of the Parameter Store"
  partition=${BASH_REMATCH[1]} service=${BASH_REMATCH[2]} region=${BASH_REMATCH[3]}
  if [[ $partition == aws-cn ]]; then domain=amazonaws.com.cn; fi
  case $service in
    secretsmanager)
      target=secretsmanager.GetSecretValue path=.SecretString
      body="{\"SecretId\":\"$reference\"}"
      ;;
    ssm)
      target=AmazonSSM.GetParameter path=.Parameter.Value
      body="{\"Name\":\"$reference\",\"WithDecryption\":true}"
      ;;
  esac
  role=$(metadata_get meta-data/iam/security-credentials/) && [[ $role =~ ^[A-Za-z0-9_+=,.@-]+$ ]] ||
    stop "${name}_SECRET: this instance has no role (instance profile), by whose right the secret is read"
  credentials=$(metadata_get "meta-data/iam/security-credentials/$role") || stop "${name}_SECRET: the role $role has no credentials here"
  answer=$(sigv4 "$service" "$region" "$service.$region.$domain" "$target" "$body" "$credentials" |
    ask "${SECRETS_URL:-https://$service.$region.$domain}/" --request POST --data "$body") ||
    stop "${name}_SECRET: $reference could not be read; does it exist, and does the role $role allow ${target/./:} (and kms:Decrypt) on it?"
  jq --raw-output "$path // empty" <<<"$answer" || stop "${name}_SECRET: the answer of $service is none"
}
