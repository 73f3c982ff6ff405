# SPDX-License-Identifier: Apache-2.0
# Completion for bash. The options are those that the program itself lists.

_batchfs_options() {
	"${1:-batchfs}" --help 2>/dev/null | sed -n -e '/^Options:/,/^$/s/^  \([a-z_]*=\{0,1\}\).*/\1/p' \
		-e '/^And of libfuse/,/^$/{/^  [a-z]/{s/^ *//;s/  */\n/g;p;}}'
}

_batchfs() {
	local word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD - 1]} line name value head
	COMPREPLY=()
	# bash takes words apart at '=': what stands behind the last blank is what is being typed.
	line=${COMP_LINE:0:COMP_POINT}
	line=${line##*[[:space:]]}
	if [[ $before == -o || $line == *[,=]* || $line == -o?* ]]; then
		line=${line#-o}
		head=${line%"${line##*,}"} name=${line##*,}
		if [[ $name == *=* ]]; then
			value=${name#*=} name=${name%%=*}
			case $name in
			engine) COMPREPLY=($(compgen -W 'postgres sqlite dbt' -- "$value")) ;;
			log) COMPREPLY=($(compgen -W 'stderr syslog json' -- "$value")) ;;
			uid) COMPREPLY=($(compgen -u -- "$value")) ;;
			gid) COMPREPLY=($(compgen -g -- "$value")) ;;
			project | profiles) COMPREPLY=($(compgen -d -- "$value")) ;;
			database | dbt) COMPREPLY=($(compgen -f -- "$value")) ;;
			service)
				COMPREPLY=($(compgen -W "$(sed -n 's/^\[\(.*\)\].*/\1/p' \
					"${PGSERVICEFILE:-$HOME/.pg_service.conf}" 2>/dev/null)" -- "$value"))
				;;
			esac
			# What bash replaces begins behind the '='.
			[[ $COMP_WORDBREAKS == *=* ]] || COMPREPLY=("${COMPREPLY[@]/#/$head$name=}")
			compopt -o nospace 2>/dev/null
			return
		fi
		COMPREPLY=($(compgen -P "$head" -W "$(_batchfs_options "${COMP_WORDS[0]}")" -- "$name"))
		compopt -o nospace 2>/dev/null
	elif [[ $word == -* ]]; then
		COMPREPLY=($(compgen -W '-f -d -o -h --help -V --version' -- "$word"))
	else
		compopt -o filenames 2>/dev/null
		COMPREPLY=($(compgen -d -- "$word") $(compgen -f -X '!*.json' -- "$word"))
	fi
}

complete -F _batchfs batchfs
