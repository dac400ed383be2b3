# shellcheck shell=bash
# shellcheck disable=SC2034 # who sources this uses them
# Names and addresses that the parts of the cluster share. Whoever sources this has set ROOT and STATE.

NODE=node1
# Of the node, the API server, DNS and the registry.
NODE_IP=172.30.0.1
SERVICE_CIDR=10.96.0.0/16
API_IP=10.96.0.1
POD_CIDR=10.244.0.0/24
REGISTRY_HOST=registry.local
REGISTRY=$REGISTRY_HOST:5000
TLS_REGISTRY=$REGISTRY_HOST:5443
PAUSE_IMAGE=$REGISTRY/pause:1

# The cluster's keys and certificates, its components' settings, what they print, and their process ids.
PKI=$STATE/pki
ETC=$STATE/etc
LOG=$STATE/log
PIDS=$STATE/pids
KUBECONFIG_ADMIN=$STATE/admin.kubeconfig

say() { printf 'cluster: %s\n' "$*" >&2; }
die() {
  say "$*"
  exit 1
}
