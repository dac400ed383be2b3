# shellcheck shell=bash
# The way into the node's namespaces. Also works from inside them, where it is no way at all.

is_inside() { [ "${KEYWARD_CLUSTER_INSIDE:-}" = "$STATE" ]; }

# PID: whether it is this cluster's node. The command line tells it from a later process of that number.
is_node() {
  local words
  words=$(tr '\0' '\n' 2>/dev/null <"/proc/$1/cmdline") || return 1
  grep -qxF -- "$STATE" <<<"$words" && grep -qxF -- "$HERE/lib/node" <<<"$words" && ! grep -qxF unshare <<<"$words"
}

# Sets PID, the namespaces' first process by its outside number.
running() {
  is_inside && return
  PID=$(cat "$STATE/node.pid" 2>/dev/null) && is_node "$PID"
}

# CMD ARGS…: becomes it, in the node's namespaces and in the same folder.
inside() {
  running || die "no cluster runs in $STATE; tests/cluster/up starts one"
  local entering=()
  # nsenter forks: the end of what it waits in must end CMD too. Not `ip netns exec`, which hides the cgroups.
  is_inside || entering=(nsenter -t "$PID" -m -n -p -u -i -C --wdns="$PWD" -- setpriv --pdeathsig TERM)
  exec env STATE="$STATE" KEYWARD_CLUSTER_STATE="$STATE" KEYWARD_CLUSTER_INSIDE="$STATE" \
    KUBECONFIG="$KUBECONFIG_ADMIN" PATH="$BIN:$PATH" "${entering[@]}" "$@"
}

quietly_inside() { (inside "$@") >/dev/null 2>&1; }

# SECONDS WHAT CMD ARGS…: until CMD succeeds inside.
wait_for() {
  local end=$((SECONDS + $1)) what=$2
  shift 2
  until quietly_inside "$@"; do
    running || failed 'the node stopped'
    [ $SECONDS -lt $end ] || failed "$what did not become ready"
    sleep 0.2
  done
}

failed() {
  tail -n 15 "$LOG"/*.log >&2
  die "$1; logs: $LOG"
}
