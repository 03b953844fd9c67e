#!/usr/bin/env bash
# Tries a machine of the image out, as root, before the image is published: mirrors a registry of its own making, pulls, stops that registry and
# pulls again. It leaves the machine changed, so it is for a machine that is thrown away.
set -euo pipefail
shopt -s inherit_errexit

fail() {
  printf 'error: %s\n' "$*" >&2
  journalctl --no-pager --lines 60 --unit 'registry-mirror*' --unit registry-data-disk --unit mnt-registry.mount >&2 || true
  exit 1
}

# until_true SECONDS WHAT COMMAND…
until_true() {
  local end=$((SECONDS + $1)) what=$2
  shift 2
  until "$@" >/dev/null 2>&1; do
    ((SECONDS < end)) || fail "$what: not within the time"
    sleep 1
  done
}

work=$(mktemp -d)
chmod 755 "$work"
upstream=
end() { if [[ -n $upstream ]]; then kill "$upstream" 2>/dev/null || true; fi; }
trap end EXIT
cd "$work"

systemd-analyze verify /etc/systemd/system/registry-*.service /etc/systemd/system/mnt-registry.mount || fail 'a unit is wrong'
for unit in machine-firewall prometheus-node-exporter prometheus-exporter-exporter; do
  systemctl is-active --quiet "$unit" || fail "$unit does not run"
done

# A machine that only tries the image out may have no data disk: a file is one then.
if ! systemctl start mnt-registry.mount; then
  truncate --size 2G "$work/disk"
  losetup --find --show "$work/disk" >/etc/registry-mirror/data-disk
  systemctl start mnt-registry.mount || fail 'a blank disk is not formatted and mounted'
fi
mountpoint --quiet /mnt/registry || fail '/mnt/registry is no mount'

# A registry with one image, by what every cloud's image has for cloud-init.
cat >registry.py <<'PY'
import hashlib, http.server, json

def put(content): blobs[name := "sha256:" + hashlib.sha256(content).hexdigest()] = content; return name, len(content)

blobs = {}
config, config_size = put(b'{"architecture":"amd64","os":"linux","rootfs":{"type":"layers","diff_ids":[]}}')
layer, layer_size = put(bytes(range(256)) * 40000)
kind = "application/vnd.oci.image.manifest.v1+json"
manifest, _ = put(json.dumps({"schemaVersion": 2, "mediaType": kind,
    "config": {"mediaType": "application/vnd.oci.image.config.v1+json", "digest": config, "size": config_size},
    "layers": [{"mediaType": "application/vnd.oci.image.layer.v1.tar", "digest": layer, "size": layer_size}]}).encode())

class Registry(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def do_GET(self):
        wanted = self.path.split("/")[-1]
        name = manifest if wanted == "latest" else wanted
        content = blobs.get(name, b"")
        self.send_response(200 if content else 404)
        self.send_header("Content-Type", kind if "/manifests/" in self.path else "application/octet-stream")
        self.send_header("Content-Length", str(len(content)))
        self.send_header("Docker-Content-Digest", name)
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(content)
    do_HEAD = do_GET

http.server.ThreadingHTTPServer(("127.0.0.1", 5998), Registry).serve_forever()
PY
python3 registry.py 2>registry.log &
upstream=$!
until_true 120 'the registry that is mirrored' curl --silent --fail http://127.0.0.1:5998/v2/test/image/manifests/latest

echo 'verify http://127.0.0.1:5998 health=test/image:latest' >/etc/registry-mirror/upstreams
systemctl restart registry-mirror.service || fail 'the mirrors do not start'
until_true 120 'the mirror' systemctl is-active --quiet registry-mirror@verify.service

# pull NAME: the image's three blobs, checked by their digests, into a file of that name.
pull() {
  local digest
  curl --silent --show-error --fail --max-time 60 --header 'Accept: application/vnd.oci.image.manifest.v1+json' \
    http://127.0.0.1:5000/v2/test/image/manifests/latest >"$1" || fail "the pull $1: no manifest"
  for digest in $(jq --raw-output '.config.digest, .layers[].digest' "$1"); do
    curl --silent --show-error --fail --max-time 60 "http://127.0.0.1:5000/v2/test/image/blobs/$digest" >blob || fail "the pull $1: no blob"
    [[ sha256:$(sha256sum <blob | cut -d ' ' -f 1) == "$digest" ]] || fail "the pull $1: the blob $digest has other content"
  done
}

# health: the status that the mirror finds.
health() { curl --silent --max-time 60 http://127.0.0.1:5001/health | jq --raw-output .status; }

pull first
[[ $(health) == healthy ]] || fail "the mirror's health is \"$(health)\""
kill "$upstream"
wait "$upstream" || true
upstream=
pull second
cmp first second || fail 'the second pull has another manifest'
[[ -d /mnt/registry/verify/docker ]] || fail 'nothing is on the data disk'
systemctl restart registry-mirror.service
until_true 120 'the mirror without its registry' systemctl is-active --quiet registry-mirror@verify.service
pull third
[[ $(health) == degraded ]] || fail "without its registry the mirror's health is \"$(health)\""

for module in node registry; do
  curl --silent --show-error --fail --max-time 30 "http://127.0.0.1:9999/proxy?module=$module" >metrics || fail "no metrics of the module $module on port 9999"
  [[ $module == node ]] || grep -q '^registry_mirror_hit_ratio' metrics || fail 'the metrics have no hit ratio'
done
echo 'the registry mirror image works: pulled, and pulled again without the registry'
