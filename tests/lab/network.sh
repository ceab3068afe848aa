# shellcheck shell=bash
# The lab's network: one namespace with two bridges, named after nothing outside it.
#
#   lab    192.168.0.0/24   the hosts' network: gluster, agents, coordinator, REST; `partition` cuts it
#   mgmt   169.254.77.0/24  carries `lab exec` only, so that a host can be looked into while cut off

readonly COORDINATOR_ADDRESS=192.168.0.1

# The scenario's three hosts have its addresses, further ones follow a rule.
host_address() { # HOST
    case $1 in
        gfs1) echo 192.168.0.224 ;;
        gfs2) echo 192.168.0.204 ;;
        gfs3) echo 192.168.0.173 ;;
        client) echo 192.168.0.50 ;;
        gfs*) echo "192.168.0.$((100 + ${1#gfs}))" ;;
    esac
}

host_number() { # HOST; 1 to 99
    case $1 in
        client) echo 99 ;;
        *) echo "${1#gfs}" ;;
    esac
}

mgmt_address() { echo "169.254.77.$((100 + $(host_number "$1")))"; }

network_up() { # HOST...
    local host number
    ip netns add "$NETNS"
    {
        say link set lo up
        say link add lab type bridge forward_delay 0
        say address add "$COORDINATOR_ADDRESS/24" dev lab
        say link set lab up
        say link add mgmt type bridge forward_delay 0
        say address add 169.254.77.1/24 dev mgmt
        say link set mgmt up
    } | ip -n "$NETNS" -batch -
    for host in "$@"; do
        number=$(host_number "$host")
        say tuntap add dev "lab$number" mode tap
        say tuntap add dev "mgmt$number" mode tap
    done | ip netns exec "$NETNS" ip -batch -
    for host in "$@"; do
        number=$(host_number "$host")
        say link set "lab$number" master lab up
        say link set "mgmt$number" master mgmt up
    done | ip -n "$NETNS" -batch -
}

network_down() {
    [[ -e /run/netns/$NETNS ]] || return 0
    ip netns delete "$NETNS"
}

# Unplugs the cable, so to speak. The tap itself stays up: with it down, a host's write to it fails, and
# user-mode Linux gives its network device up for good.
network_cut() { ip -n "$NETNS" link set "lab$(host_number "$1")" nomaster; }
network_join() { ip -n "$NETNS" link set "lab$(host_number "$1")" master lab; }

inside_network() { nsenter --net="/run/netns/$NETNS" "$@"; }

answers() { # ADDRESS PORT
    inside_network bash -c 'exec 3<>"/dev/tcp/$1/$2"' bash "$1" "$2" 2>/dev/null
}
