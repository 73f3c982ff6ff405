#compdef batchfs
# SPDX-License-Identifier: Apache-2.0
# Completion for zsh. The options are those that the program itself lists.

_batchfs_one_option() {
	local -a words
	if compset -P 'engine='; then
		compadd postgres sqlite dbt
	elif compset -P 'log='; then
		compadd stderr syslog json
	elif compset -P 'uid='; then
		_users
	elif compset -P 'gid='; then
		_groups
	elif compset -P '(project|profiles)='; then
		_files -/
	elif compset -P '(database|dbt)='; then
		_files
	elif compset -P 'service='; then
		words=(${(f)"$(sed -n 's/^\[\(.*\)\].*/\1/p' ${PGSERVICEFILE:-$HOME/.pg_service.conf} 2>/dev/null)"})
		compadd -a words
	else
		words=(${(f)"$($service --help 2>/dev/null | sed -n -e '/^Options:/,/^$/s/^  \([a-z_]*=\{0,1\}\).*/\1/p' \
			-e '/^And of libfuse/,/^$/{/^  [a-z]/{s/^ *//;s/  */\n/g;p;}}')"})
		compadd -S '' -a words
	fi
}

_batchfs_options() {
	compset -P '*,'
	compset -S ',*'
	_batchfs_one_option
}

_arguments -s \
	'-f[stay in the foreground, log to stderr]' \
	'-d[the same, and log everything]' \
	'*-o[mount options]:option:_batchfs_options' \
	'(-h --help)'{-h,--help}'[list the options]' \
	'(-V --version)'{-V,--version}'[print the version]' \
	'1:manifest:_files -g "*.json(-.)"' \
	'2:mount point:_files -/'
