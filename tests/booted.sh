# Boots a systemd over a tree of its own, until standard input ends; then nothing is left of it.
# As to a container's, what it tells of its boot goes to a socket, $1/notify. Runs as root in a mount
# namespace of its own.
#
# $1: a folder, with the unit files in $1/units; $2: the prefix of Python; $3: its site-packages;
# $4: the checkout
set -eu

mount --make-rprivate /
mount -t tmpfs -o mode=755 tmpfs /mnt
mkdir -p /mnt/cgroups /mnt/tree
mount -t cgroup2 cgroup2 /mnt/cgroups
mount --bind /mnt/tree /mnt/tree
cd /mnt/tree

mkdir -p dev etc home old opt proc root run sys tmp usr var/tmp
ln -s ../run var/run
for link in bin sbin lib lib32 lib64 libx32; do
  if [ -L "/$link" ]; then cp -a "/$link" .; fi
done
mount --bind -o ro /usr usr
mount -t tmpfs -o mode=755 tmpfs usr/lib/systemd/system-generators
mount -t tmpfs -o mode=755 tmpfs usr/lib/systemd/system
for unit in basic.target multi-user.target network.target shutdown.target sockets.target \
  sysinit.target systemd-journald-dev-log.socket systemd-journald.service \
  systemd-journald.socket; do
  cp "/usr/lib/systemd/system/$unit" usr/lib/systemd/system
done
mount -t tmpfs -o mode=755 tmpfs dev
ln -s /proc/self/fd dev/fd
ln -s pts/ptmx dev/ptmx
for device in full null random tty urandom zero; do
  touch "dev/$device"
  mount --bind "/dev/$device" "dev/$device"
done
mkdir dev/shm
mount -t tmpfs -o mode=755 tmpfs run
mkdir run/host
touch run/host/notify home/somebody
mount --bind "$1/notify" run/host/notify
echo root:x:0:0:root:/root:/bin/sh >etc/passwd
echo root:x:0: >etc/group
echo ID=booted >etc/os-release
echo 0123456789abcdef0123456789abcdef >etc/machine-id
mkdir -p etc/systemd/system/sysinit.target.wants
ln -s /usr/lib/systemd/system/systemd-journald.service etc/systemd/system/sysinit.target.wants
cp -r "$1/units/." etc/systemd/system

# What `pip install` makes of /opt/hello_service, from what is installed here.
python=$2
if [ "${python#/usr}" = "$python" ]; then
  python=/opt/python
  mkdir opt/python
  mount --bind -o ro "$2" opt/python
fi
echo "$python/lib" >etc/ld.so.conf
ldconfig -r . -X
version=$(basename "$(dirname "$3")")
mkdir -p opt/packages opt/checkout/hello_service opt/checkout/twisted opt/hello_service/bin \
  "opt/hello_service/lib/$version/site-packages"
mount --bind -o ro "$3" opt/packages
mount --bind -o ro "$4/hello_service" opt/checkout/hello_service
mount --bind -o ro "$4/twisted" opt/checkout/twisted
printf '%s\n' /opt/packages /opt/checkout >"opt/hello_service/lib/$version/site-packages/all.pth"
echo "home = $python/bin" >opt/hello_service/pyvenv.cfg
ln -s "$python/bin/$version" opt/hello_service/bin/python
cat >opt/hello_service/bin/twistd <<'end'
#!/opt/hello_service/bin/python
from twisted.scripts.twistd import run
run()
end
chmod +x opt/hello_service/bin/twistd

group=/mnt/cgroups/booted-$$
mkdir "$group"
unshare=
clean() {
  if [ "$unshare" ]; then
    kill -KILL $(cat "/proc/$unshare/task/$unshare/children") || true
    wait
  fi
  find "$group" -depth -type d -exec rmdir {} +
}
trap clean EXIT
exec 3<&0 4>&2 </dev/null
# unshare has a word to say when what it waits for is killed.
sh -c 'echo 0 >"$1/cgroup.procs"; shift; exec setpriv --pdeathsig KILL unshare "$@" 2>/dev/null' \
  - "$group" --pid --ipc --uts --cgroup --net --mount --fork --kill-child=KILL sh -euc '
    exec 2>&4 3<&- 4>&-
    mount -t proc proc proc
    mount --bind -o ro proc/sys proc/sys
    mount -t sysfs -o ro sysfs sys
    mount -t cgroup2 cgroup2 sys/fs/cgroup
    pivot_root . old
    umount -l old
    mount --make-rshared / # for the credentials of services
    exec env -i container=booted NOTIFY_SOCKET=/run/host/notify /lib/systemd/systemd \
      --system --unit=multi-user.target >/dev/null' &
unshare=$!
cat <&3 >/dev/null
