# shellcheck shell=bash
# shellcheck disable=SC2154 # run.sh sets files and machine_dir
# Sends the machine's journal to the cloud's own service, by the cloud's own agent. Shared with docker-mirror.
#
#   LOG_SHIPPING   true, or false (the default): nothing is installed
#   PLATFORM_TYPE  gcp or aws; elsewhere there is nothing to ship to
#   LOG_GROUP      CloudWatch's log group, "executors" by default
#
# The agents are in no distribution. They come from files/google-cloud-ops-agent.deb or files/amazon-cloudwatch-agent.deb where these are
# staged, else from the cloud, where its signature is checked.

readonly cloudwatch=https://amazoncloudwatch-agent.s3.amazonaws.com
# Of the key that Amazon signs its agent's packages with, as its documentation gives it.
readonly cloudwatch_key=937616F3450B7D806CBD9725D58167303B789C72
readonly google_apt=https://packages.cloud.google.com/apt

step() {
  truth LOG_SHIPPING || return 0
  case ${PLATFORM_TYPE-} in
    gcp) ops_agent ;;
    aws) cloudwatch_agent ;;
    *) stop "LOG_SHIPPING: there is no agent for PLATFORM_TYPE \"${PLATFORM_TYPE-}\", only for gcp and aws" ;;
  esac
}

ops_agent() {
  # Before the agent, which starts at once. Logs only, and few metrics: they are billed.
  content /etc/google-cloud-ops-agent/config.yaml 644 <<-'CONF'
	logging:
	  receivers:
	    journal:
	      type: systemd_journald
	  service:
	    pipelines:
	      default_pipeline:
	        receivers: [journal]
	metrics:
	  receivers:
	    hostmetrics:
	      type: hostmetrics
	      collection_interval: 60s
	  processors:
	    few:
	      type: exclude_metrics
	      metrics_pattern: ["agent.googleapis.com/processes/*", "agent.googleapis.com/interface/*", "agent.googleapis.com/gpu/*"]
	  service:
	    pipelines:
	      default_pipeline:
	        receivers: [hostmetrics]
	        processors: [few]
	CONF
  if installed google-cloud-ops-agent; then return; fi
  if [[ -f $files/google-cloud-ops-agent.deb ]]; then
    apt_lists
    apt_get install "$files/google-cloud-ops-agent.deb" </dev/null >/dev/null
    changed 'installed google-cloud-ops-agent'
    return
  fi
  packages gnupg
  local codename key=/etc/apt/keyrings/google-cloud.asc
  codename=$(. /etc/os-release && printf '%s' "$VERSION_CODENAME")
  download "$google_apt/doc/apt-key.gpg" | content "$key" 644
  content /etc/apt/sources.list.d/google-cloud-ops-agent.list 644 <<<"deb [signed-by=$key] $google_apt google-cloud-ops-agent-$codename-all main"
  # The lists lack the new source's.
  apt_get update >/dev/null
  packages google-cloud-ops-agent
}

cloudwatch_agent() {
  # It reads files, no journal.
  packages rsyslog
  content /opt/aws/amazon-cloudwatch-agent/etc/amazon-cloudwatch-agent.json 644 <<-CONF
	{
	  "agent": {"logfile": "/var/log/amazon-cloudwatch-agent.log"},
	  "logs": {
	    "logs_collected": {
	      "files": {
	        "collect_list": [
	          {
	            "file_path": "/var/log/syslog",
	            "log_group_name": "${LOG_GROUP:-executors}",
	            "log_stream_name": "{instance_id}-syslog",
	            "timezone": "UTC"
	          }
	        ]
	      }
	    }
	  }
	}
	CONF
  if ! installed amazon-cloudwatch-agent; then
    local dir
    dir=$(mktemp -d)
    if [[ -f $files/amazon-cloudwatch-agent.deb ]]; then
      cp "$files/amazon-cloudwatch-agent.deb" "$dir/agent.deb"
    else
      cloudwatch_fetch "$dir"
    fi
    apt_lists
    apt_get install "$dir/agent.deb" </dev/null >/dev/null
    rm -r "$dir"
    changed 'installed amazon-cloudwatch-agent'
  fi
  enabled amazon-cloudwatch-agent.service
}

# cloudwatch_fetch DIR: the agent's package as DIR/agent.deb, signed by Amazon's key.
cloudwatch_fetch() {
  local from
  packages gnupg
  from=$cloudwatch/$(. /etc/os-release && printf '%s' "$ID")/$(dpkg --print-architecture)/latest/amazon-cloudwatch-agent.deb
  download "$from" >"$1/agent.deb"
  download "$from.sig" >"$1/agent.deb.sig"
  download "$cloudwatch/assets/amazon-cloudwatch-agent.gpg" >"$1/key"
  mkdir -m 700 "$1/gnupg"
  GNUPGHOME=$1/gnupg gpg --batch --quiet --import "$1/key"
  # What gpg verified with is told on its status lines: any key that was in the file would satisfy it.
  GNUPGHOME=$1/gnupg gpg --batch --status-fd 1 --verify "$1/agent.deb.sig" "$1/agent.deb" 2>"$1/said" |
    grep -q "^\[GNUPG:\] VALIDSIG .*$cloudwatch_key" || stop "$from is not signed by Amazon's key $cloudwatch_key: $(cat "$1/said")"
}

# download URL
download() {
  curl --silent --show-error --fail --location --proto '=https' --max-time 300 --retry 3 "$1" || stop "$1 could not be had"
}
