/* SPDX-License-Identifier: Apache-2.0 */
#include "backend/dbt/process.h"

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "backend/base/cleanup.h"

/* Where the locked file is in the child. */
#define HOLD_FD 3

/* All that a child needs, made before the fork: between that and exec nothing may allocate or take a lock. */
struct birth {
	const struct process_plan *plan;
	char **environment;
	char *program; /* with its path */
	pid_t parent;
	int in, out, fail; /* the child's ends; fail: tells why there was no exec */
};

/* What would make dbt do something else than it is told. From 1.11 on dbt reads each with "DBT_ENGINE_" in
 * the place of "DBT_", too. */
static const char *const without[] = {
	"DBT_FULL_REFRESH",   "DBT_EVENT_TIME_START",
	"DBT_EVENT_TIME_END", "DBT_EMPTY",
	"DBT_SAMPLE",	      "DBT_QUIET",
	"DBT_LOG_FORMAT",     "DBT_LOG_LEVEL",
	"DBT_TARGET_PATH",    "DBT_LOG_PATH",
	"DBT_WRITE_JSON",     "DBT_FAIL_FAST",
	"DBT_RESOURCE_TYPES", "DBT_EXCLUDE_RESOURCE_TYPES",
	"DBT_DEFER",	      "DBT_DEFER_TO_STATE",
	"DBT_PROJECT_DIR",
};

static bool left_out(const char *variable)
{
	static const char old[] = "DBT_", engine[] = "DBT_ENGINE_";
	if (strncmp(variable, old, strlen(old)) != 0)
		return false;
	bool of_engine = strncmp(variable, engine, strlen(engine)) == 0;
	const char *name = variable + (of_engine ? strlen(engine) : strlen(old));
	for (size_t i = 0; i < sizeof without / sizeof *without; i++) {
		const char *one = without[i] + strlen(old);
		size_t len = strlen(one);
		if (strncmp(name, one, len) == 0 && name[len] == '=')
			return true;
	}
	return false;
}

/* The list is the caller's, the strings are the process's own. */
static char **environment_make(void)
{
	size_t n = 0, kept = 0;
	while (environ[n])
		n++;
	char **out = calloc(n + 1, sizeof *out);
	for (size_t i = 0; out && i < n; i++)
		if (!left_out(environ[i]))
			out[kept++] = environ[i];
	return out;
}

static void write_pid(int fd)
{
	char digits[16];
	size_t n = sizeof digits;
	digits[--n] = '\n';
	for (pid_t pid = getpid(); pid; pid /= 10)
		digits[--n] = (char)('0' + pid % 10);
	if (ftruncate(fd, 0) == 0 && pwrite(fd, digits + n, sizeof digits - n, 0) < 0)
		return; /* whoever finds the lock held then cannot end the group, and says so */
}

static void reset_signals(void)
{
	sigset_t none;
	for (int sig = 1; sig < NSIG; sig++)
		signal(sig, SIG_DFL);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
}

/* In the child. Returns only where it has failed; *fail is where the reason goes. */
static void become(const struct birth *b, int *fail)
{
	int high = 100; /* above what is put in its place */
	setpgid(0, 0);
	reset_signals();
	/* Of the thread that has forked. */
	if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0 || getppid() != b->parent)
		return;
	int in = fcntl(b->in, F_DUPFD, high), out = fcntl(b->out, F_DUPFD, high);
	int hold = fcntl(b->plan->hold, F_DUPFD, high), told = fcntl(*fail, F_DUPFD, high);
	if (in < 0 || out < 0 || hold < 0 || told < 0)
		return;
	*fail = told;
	if (dup2(in, STDIN_FILENO) < 0 || dup2(out, STDOUT_FILENO) < 0 || dup2(out, STDERR_FILENO) < 0 ||
	    dup2(hold, HOLD_FD) < 0 || dup2(told, HOLD_FD + 1) < 0)
		return;
	*fail = HOLD_FD + 1;
	fcntl(HOLD_FD + 1, F_SETFD, FD_CLOEXEC);
	syscall(SYS_close_range, HOLD_FD + 2, ~0U, 0);
	write_pid(HOLD_FD);
	if (chdir(b->plan->cwd) == 0)
		execve(b->program, (char *const *)b->plan->argv, b->environment);
}

static void child(const struct birth *b)
{
	int fail = b->fail;
	become(b, &fail);
	int err = errno;
	_exit(write(fail, &err, sizeof err) < 0 ? 126 : 127);
}

char *process_find(const char *command)
{
	const char *path = getenv("PATH");
	if (strchr(command, '/'))
		return strdup(command);
	for (const char *p = path ? path : "/usr/local/bin:/usr/bin:/bin"; *p;) {
		int len = (int)strcspn(p, ":");
		char *whole = NULL;
		if (len && asprintf(&whole, "%.*s/%s", len, p, command) >= 0 && access(whole, X_OK) == 0)
			return whole;
		if (len)
			free(whole);
		p += len;
		p += *p == ':';
	}
	return NULL;
}

static int steal_fd(int *fd)
{
	int was = *fd;
	*fd = -1;
	return was;
}

/* 0 where the child has become the program. */
static int wait_for_exec(int fail)
{
	int err;
	ssize_t n;
	do
		n = read(fail, &err, sizeof err);
	while (n < 0 && errno == EINTR);
	return n == (ssize_t)sizeof err ? -err : 0;
}

static int give_birth(struct birth *b, struct process *p, int child_fail, int fail)
{
	b->parent = getpid();
	p->pid = fork();
	if (p->pid == 0)
		child(b);
	if (p->pid < 0) {
		p->pid = 0;
		return -errno;
	}
	/* In both, so that it is done whoever comes first. */
	setpgid(p->pid, p->pid);
	close(child_fail);
	int r = wait_for_exec(fail);
	if (r < 0) {
		waitpid(p->pid, NULL, 0);
		p->pid = 0;
	}
	return r;
}

int process_start(const struct process_plan *plan, struct process *p, struct error *err)
{
	auto_free char *program = process_find(plan->argv[0]);
	auto_free char **environment = environment_make();
	int in[2] = {-1, -1}, out[2] = {-1, -1}, fail[2] = {-1, -1}, r = 0;
	*p = (struct process){.in = -1, .out = -1};
	if (!program)
		return error_set(err, ENOENT, "%s: no such command in PATH", plan->argv[0]);
	if (plan->input ? pipe2(in, O_CLOEXEC) : (in[0] = open("/dev/null", O_RDONLY | O_CLOEXEC)) < 0)
		r = -errno;
	if (r == 0 && (pipe2(out, O_CLOEXEC) < 0 || pipe2(fail, O_CLOEXEC) < 0))
		r = -errno;
	struct birth b = {.plan = plan,
			  .environment = environment,
			  .program = program,
			  .in = in[0],
			  .out = out[1],
			  .fail = fail[1]};
	if (r == 0 && environment)
		r = give_birth(&b, p, steal_fd(&fail[1]), fail[0]);
	if (p->pid) {
		p->in = steal_fd(&in[1]);
		p->out = steal_fd(&out[0]);
	}
	const int all[] = {in[0], in[1], out[0], out[1], fail[0], fail[1]};
	for (size_t i = 0; i < sizeof all / sizeof *all; i++)
		if (all[i] >= 0)
			close(all[i]);
	if (p->pid)
		return 0;
	return error_set(err, r < 0 ? -r : ENOMEM, "%s cannot be started in %s: %s", program, plan->cwd,
			 strerror(r < 0 ? -r : ENOMEM));
}

void process_signal(const struct process *p, int sig)
{
	if (p->pid)
		kill(-p->pid, sig);
}

bool process_ended(const struct process *p)
{
	siginfo_t info = {0};
	/* It is not reaped: its number stays that of the group. */
	return waitid(P_PID, (id_t)p->pid, &info, WEXITED | WNOHANG | WNOWAIT) == 0 && info.si_pid == p->pid;
}

int process_reap(struct process *p)
{
	int status = 0;
	if (!p->pid)
		return 0;
	kill(-p->pid, SIGKILL);
	while (waitpid(p->pid, &status, 0) < 0 && errno == EINTR)
		;
	if (p->in >= 0)
		close(p->in);
	close(p->out);
	*p = (struct process){.in = -1, .out = -1};
	return WIFSIGNALED(status) ? -WTERMSIG(status) : WEXITSTATUS(status);
}

static bool is_of(pid_t pid, pid_t group, const struct stat *hold)
{
	char path[64];
	struct stat st;
	snprintf(path, sizeof path, "/proc/%d/fd/%d", (int)pid, HOLD_FD);
	/* Ours may be open under that number by chance. */
	return pid > 1 && pid != getpid() && getpgid(pid) == group && stat(path, &st) == 0 &&
	       st.st_dev == hold->st_dev && st.st_ino == hold->st_ino;
}

bool process_end_left(pid_t group, int hold)
{
	struct stat st;
	bool found = false;
	DIR *all = opendir("/proc");
	if (!all)
		return false;
	/* The first of the group may be gone, and others of it live on. */
	if (group > 1 && fstat(hold, &st) == 0)
		for (struct dirent *e; !found && (e = readdir(all));)
			found = is_of((pid_t)strtol(e->d_name, NULL, 10), group, &st);
	closedir(all);
	return found && kill(-group, SIGKILL) == 0;
}
