# What is done to a daemon within a booted Debian; each step's name stands before what was seen of it.
tickd=/opt/tickd/current/bin/tickd
socket="--socket /run/tickd/one/tickd.sock"

step() { echo "== $1"; }
show() {
    for one in ActiveState SubState Result NRestarts ExecMainStatus StatusText; do
        echo "$one=$(systemctl show tickd@one -p $one --value)"
    done
}
until_true() { # compiling takes minutes
    for _ in $(seq 3000); do
        if eval "$1"; then return; fi
        sleep 0.2
    done
    echo "not within ten minutes: $1"
    systemctl status --no-pager -l exchange tickd@one
    journalctl -b --no-pager -o cat -n 100
    exit 1
}
state() { $tickd state $socket --json 2>&1; }

release() { grep -o '/opt/tickd/releases/[^/]*' "/proc/$(systemctl show tickd@one -p MainPID --value)/maps" | sort -u; }

if [ -e /report/rebooted ]; then
    step reboot # both were started by systemd, in no order
    until_true 'systemctl is-active -q tickd@one'
    until_true 'systemctl show tickd@one -p StatusText | grep -q HALTED'
    show
    $tickd resume $socket
    until_true 'state | grep -q "\"WORKING\":2"'
    state

    step stop
    systemctl stop tickd@one
    show

    step second_journal
    journalctl -u tickd@one --no-pager -o cat
    exit
fi

systemctl start exchange
until_true 'grep -qs ready /report/exchange'
key=$(sed -n 's/.*"api_key":"\([^"]*\)".*/\1/p' /report/exchange)
mkdir -p -m 0700 /etc/credstore
printf %s "$key" >/etc/credstore/tickd.one.TICKD_KEY
sed -n 's/.*"secret":"\([^"]*\)".*/\1/p' /report/exchange >/etc/credstore/tickd.one.TICKD_SECRET

step one_switch
systemctl start tickd@one
show

step start
echo TICKD_OPTIONS=--live >/etc/tickd/one.env
systemctl reset-failed tickd@one
systemctl start tickd@one
until_true 'state | grep -q "\"state\":\"READY\""'
until_true 'state | grep -q "\"WORKING\":2"'
sleep 5
show
stat -c %a=%n /run/tickd/one/tickd.sock /var/lib/private/tickd/one /var/cache/private/tickd/one

step reload
sed -i 's/level = "info"/level = "warning"/; s/_max = 100.0/_max = 90.0/' /etc/tickd/one.toml
systemctl reload tickd@one
until_true 'systemctl show tickd@one -p StatusText | grep -q taken'
show

step hang
kill -STOP "$(systemctl show tickd@one -p MainPID --value)"
until_true '[ "$(systemctl show tickd@one -p NRestarts --value)" = 1 ]'
until_true 'systemctl is-active -q tickd@one'
until_true 'state | grep -q "\"WORKING\":2"'
show
state

step halt
$tickd halt $socket --reason "a check"
systemctl restart tickd@one
show
$tickd resume $socket

step configuration
rm -f /report/hook
sed -i 's/^mode = /nonsense = 1\nmode = /' /etc/tickd/one.toml
systemctl restart tickd@one
until_true '[ -e /report/hook ]'
show
cat /report/hook
sed -i '/^nonsense/d' /etc/tickd/one.toml

step crashes
systemctl reset-failed tickd@one
systemctl start tickd@one
for _ in 1 2 3 4 5 6; do
    until_true 'systemctl is-active -q tickd@one || systemctl is-failed -q tickd@one'
    pid=$(systemctl show tickd@one -p MainPID --value)
    if [ "$pid" = 0 ]; then break; fi
    kill -KILL "$pid"
    sleep 1
done
until_true 'systemctl is-failed -q tickd@one'
show

step upgrade
systemctl reset-failed tickd@one
systemctl start tickd@one
until_true 'state | grep -q "\"WORKING\":2"'
release
touch /report/please
until_true '[ -e /report/upgraded ]'
systemctl restart tickd@one
until_true 'state | grep -q "\"WORKING\":2"'
release
show
$tickd journal /var/lib/private/tickd/one/var/one/journal-live --summary

step halted
$tickd halt $socket --reason "before the reboot"
SYSTEMD_OFFLINE=1 systemctl enable -q exchange tickd@one # there is no bus to ask it by
touch /report/rebooted

step journal
journalctl -u tickd@one --no-pager -o cat
