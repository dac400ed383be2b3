# shellcheck shell=bash
# One component of a running node, stopped and started alone: for tests of what happens without it.

component_pid() {
  local file=$PIDS/$1
  [ -e "$file" ] || die "there is no component $1; there are: $(cd "$PIDS" && echo *)"
  cat "$file"
}

# A process that has ended and waits for its parent to notice is gone too.
component_runs() {
  quietly_inside grep -Eq '^State:[[:space:]]+[^ZX]' "/proc/$(component_pid "$1")/status"
}

# SIGNAL NAME
component_signal() { (inside kill "-$1" "$(component_pid "$2")"); }

component_stop() {
  component_runs "$1" || return 0
  component_signal KILL "$1"
  while component_runs "$1"; do sleep 0.05; done
}

component_start() {
  component_runs "$1" && return
  (inside setsid --fork "$HERE/lib/component" "$1")
  [ "$1" != kube-apiserver ] || wait_for 60 'the API server' kubectl get --raw /readyz
}
