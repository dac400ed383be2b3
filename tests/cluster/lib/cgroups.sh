# shellcheck shell=bash
# The node's cgroups: a folder below the caller's own in each v1 hierarchy, which the node then sees as the root.

CGROUP=keyward-$(printf %s "$STATE" | cksum | cut -d' ' -f1)

cgroup_dirs() {
  local controller path
  for controller in $CGROUP_CONTROLLERS; do
    path=$(cgroup_path "$controller")
    printf '%s\n' "/sys/fs/cgroup/$controller${path%/}/$CGROUP"
  done
}

make_cgroups() {
  local dir file
  while read -r dir; do
    mkdir -p "$dir"
    case $dir in
      /sys/fs/cgroup/cpuset/*) # empty in a new folder, and then nothing may enter it
        for file in cpuset.cpus cpuset.mems; do cat "$dir/../$file" >"$dir/$file"; done
        ;;
    esac
  done < <(cgroup_dirs)
}

enter_cgroups() {
  local dir
  while read -r dir; do echo 0 >"$dir/cgroup.procs"; done < <(cgroup_dirs)
}

# Wherever an earlier call made them: below the cgroup that call ran in. The kernel lets go of a folder's last process
# a moment after it has ended.
remove_cgroups() {
  local left _
  for _ in $(seq 30); do
    find /sys/fs/cgroup -mindepth 1 -depth -type d -path "*/$CGROUP*" -exec rmdir {} + 2>/dev/null || true
    left=$(find /sys/fs/cgroup -mindepth 1 -type d -name "$CGROUP" 2>/dev/null || true)
    [ -n "$left" ] || return 0
    sleep 0.1
  done
  say "cgroups left behind: $left"
}
