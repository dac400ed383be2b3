# shellcheck shell=bash
# What the cluster needs of the machine: found out all at once, and said so.

# Debian keeps some commands where only root's login looks, and Go comes where its own archive puts it.
PATH=$PATH:/usr/sbin:/sbin:/usr/local/go/bin

CGROUP_CONTROLLERS='cpu cpuacct cpuset memory devices freezer blkio pids systemd'

is_there() {
  case $1 in
    /*) [ -x "$1" ] ;;
    *) command -v "$1" >/dev/null ;;
  esac
}

# Packages that lack something, one a line.
missing_packages() {
  local package things thing
  while read -r package things; do
    case $package in '' | '#'*) continue ;; esac
    for thing in $things; do
      is_there "$thing" && continue
      echo "$package"
      break
    done
  done <"$HERE/packages"
}

install_packages() {
  local packages
  mapfile -t packages < <(missing_packages)
  [ ${#packages[@]} -gt 0 ] || return 0
  is_there apt-get || die "there is no apt-get; install by hand: ${packages[*]}"
  say "installing ${packages[*]}"
  apt-get update -qq >/dev/null
  DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends "${packages[@]}" >/dev/null
}

# The path of this process in a cgroup v1 hierarchy; empty where the hierarchy is not mounted.
cgroup_path() {
  [ -d "/sys/fs/cgroup/$1" ] || return 0
  awk -F: -v wanted="$1" '{
    count = split($2, names, ",")
    for (i = 1; i <= count; i++) if (names[i] == wanted || names[i] == "name=" wanted) print $3
  }' /proc/self/cgroup
}

missing_cgroups() {
  local controller
  for controller in $CGROUP_CONTROLLERS; do
    [ -n "$(cgroup_path "$controller")" ] || echo "$controller"
  done
}

# Everything that keeps the cluster from running here, one a line.
missing() {
  local packages cgroups
  packages=$(missing_packages | xargs)
  cgroups=$(missing_cgroups | xargs)
  [ "$(id -u)" = 0 ] || echo 'it must run as root: it makes namespaces and cgroups'
  [ -z "$packages" ] || echo "packages: $packages (as root: tests/cluster/cluster install)"
  [ -z "$cgroups" ] || echo "cgroup v1 hierarchies below /sys/fs/cgroup: $cgroups (boot with systemd.unified_cgroup_hierarchy=0)"
  is_there go || binaries_built || echo 'go, 1.24 or newer: golang.org/dl, or a package; found in PATH or in /usr/local/go/bin'
}

check() {
  local lines
  lines=$(missing)
  [ -z "$lines" ] && return
  say 'cannot run here; missing:'
  # shellcheck disable=SC2001 # each line, not the first
  sed 's/^/  - /' <<<"$lines" >&2
  return 1
}
