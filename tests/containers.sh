# Runs a command over a tree in the place of a container engine, in namespaces that are made for it.
#
# $1: "rw" or "ro"; $2: the tree; $3: what it has at /usr/local; then the command
set -eu

mount --bind -o "$1" "$2" "$2"
cd "$2"
mount --bind -o ro /usr usr
mount --bind -o ro "$3" usr/local
mount -t proc proc proc
mount -t tmpfs -o mode=755 tmpfs dev
for device in null random urandom zero; do
  touch "dev/$device"
  mount --bind "/dev/$device" "dev/$device"
done
if [ "$1" = ro ]; then
  ip link set lo up
  mount --bind /dev/null usr/bin/sh
fi
shift 3
exec chroot . "$@"
