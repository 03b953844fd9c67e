# shellcheck shell=bash
# AWS's signature of a request, version 4. curl has it, too, but before 7.86 (Ubuntu 22.04) leaves out headers that AWS wants signed; and a
# program that takes the key as an argument shows it to everybody on the machine. Sourced by aws.sh.
#
# https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html

hash() { sha256sum | cut -d' ' -f1; }

hex() { od -An -v -tx1 | tr -d ' \n'; }

# hmac KEY: HMAC-SHA-256 (RFC 2104) of standard input. Key and result are hexadecimal; no key here is longer than a block of 64 bytes.
hmac() {
  local key=$1 inner='' outer='' byte i
  while ((${#key} < 128)); do key+=00; done
  for ((i = 0; i < 128; i += 2)); do
    byte=$((16#${key:i:2}))
    printf -v inner '%s\\x%02x' "$inner" $((byte ^ 0x36))
    printf -v outer '%s\\x%02x' "$outer" $((byte ^ 0x5c))
  done
  inner=$({ printf '%b' "$inner"; cat; } | hash)
  # shellcheck disable=SC2059 # bytes
  { printf '%b' "$outer"; printf '%b' "$(sed 's/../\\x&/g' <<<"$inner")"; } | hash
}

# signing_key SECRET DATE REGION SERVICE
signing_key() {
  local key word
  key=$(printf 'AWS4%s' "$1" | hex)
  for word in "$2" "$3" "$4" aws4_request; do key=$(printf '%s' "$word" | hmac "$key"); done
  printf '%s' "$key"
}

# sigv4 SERVICE REGION HOST TARGET BODY CREDENTIALS: prints the headers of a POST to / as curl's configuration. The credentials are the
# metadata's JSON.
sigv4() {
  local service=$1 region=$2 host=$3 target=$4 body=$5 id secret session now scope names headers request signature
  id=$(jq --raw-output .AccessKeyId <<<"$6")
  secret=$(jq --raw-output .SecretAccessKey <<<"$6")
  session=$(jq --raw-output .Token <<<"$6")
  now=$(date --utc +%Y%m%dT%H%M%SZ)
  scope=${now%T*}/$region/$service/aws4_request
  names='content-type;host;x-amz-date;x-amz-security-token;x-amz-target'
  headers="content-type:application/x-amz-json-1.1
host:$host
x-amz-date:$now
x-amz-security-token:$session
x-amz-target:$target"
  request=$(printf 'POST\n/\n\n%s\n\n%s\n%s' "$headers" "$names" "$(printf '%s' "$body" | hash)" | hash)
  signature=$(printf 'AWS4-HMAC-SHA256\n%s\n%s\n%s' "$now" "$scope" "$request" | hmac "$(signing_key "$secret" "${now%T*}" "$region" "$service")")
  sed 's/.*/header = "&"/' <<<"$headers"
  printf 'header = "Authorization: AWS4-HMAC-SHA256 Credential=%s/%s, SignedHeaders=%s, Signature=%s"\n' "$id" "$scope" "$names" "$signature"
}
