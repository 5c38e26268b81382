# Does the learner's sleep see a mended image, while the image is as it was?

baseline 'files can be written and removed here' sh -c 'echo > here && rm here'
baseline 'what is here is no overlay' test "$(stat --file-system -c %T .)" != overlayfs

begin
payload sleep 600
cwd=/proc/$pid/cwd

expect 'where it stands, etc/motd says that it is open for business' \
	test "$(cat "$cwd/etc/motd")" = 'open for business'
expect 'there is no etc/password' test -d "$cwd/etc" -a ! -e "$cwd/etc/password"
expect 'in the image, the motd is still the old one' test "$(cat image/etc/motd)" = 'under construction'
expect 'and the password is still there' test "$(cat image/etc/password)" = hunter2
expect 'it is seen through an overlay' test "$(stat --file-system -c %T "$cwd/.")" = overlayfs
expect 'the large file is there' cmp image/usr/large "$cwd/usr/large"

# Nobody may write to a layer that is in use; a check may, once it has seen all else. What a copy shows is what was copied.
echo changed | dd of=image/usr/large conv=notrunc 2> /dev/null
expect 'and is the very file of the image, and no copy' cmp image/usr/large "$cwd/usr/large"
