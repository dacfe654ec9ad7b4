# SPDX-License-Identifier: Apache-2.0
# The agent's units and systemd, for packages that have no tool of their own for it (rpm, tarball).
# Each function is right without a running systemd too (an image that is being made).
units="rdlink-bridge.socket rdlink-bridge.service rdlink-net.service"

systemd_runs() {
    [ -d /run/systemd/system ]
}

# For the first installation. The network stays whose it is until the next start of
# rancher-desktop.target (or `systemctl start rdlink-net`): taking it over cuts what uses it.
units_install() {
    command -v systemctl >/dev/null || return 0
    # shellcheck disable=SC2086
    systemctl --quiet enable $units || true
    systemd_runs || return 0
    systemctl daemon-reload || true
    systemctl start rdlink-bridge.socket rdlink-bridge.service || true
}

# The socket unit stays, and with it the ports: clients wait while the service drains and restarts.
# The network is not restarted, because docker and others would be with it.
units_upgrade() {
    systemd_runs || return 0
    systemctl daemon-reload || true
    systemctl try-restart rdlink-bridge.service || true
}

units_stop() {
    command -v systemctl >/dev/null || return 0
    if systemd_runs; then
        # shellcheck disable=SC2086
        systemctl stop $units || true
    fi
    # shellcheck disable=SC2086
    systemctl --quiet disable $units || true
}

# Once the files are gone: those whose place it was, where they are enabled, have it again.
units_gone() {
    systemd_runs || return 0
    systemctl daemon-reload || true
    for unit in network-setup.service rdd-guest.service; do
        if systemctl --quiet is-enabled "$unit" 2>/dev/null; then
            systemctl --no-block start "$unit" || true
        fi
    done
}
