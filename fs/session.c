/* SPDX-License-Identifier: Apache-2.0 */
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "backend/base/cleanup.h"
#include "backend/base/count.h"
#include "fs/announce.h"
#include "fs/handle.h"
#include "fs/interned.h"
#include "fs/kernel_cache.h"
#include "fs/mount.h"
#include "fs/name_grace.h"
#include "fs/own_inode.h"
#include "fs/private.h"
#include "fs/renderer.h"
#include "fs/wait.h"

static void free_fs(struct fs *fs)
{
	free(fs->buf.mem);
	waits_fini(&fs->waits);
	renderer_fini(&fs->renderer);
	announcer_fini(&fs->announcer);
	handles_fini(&fs->handles);
	own_inodes_fini(&fs->own_inodes);
	interned_fini(&fs->interned);
	name_graces_fini(&fs->name_graces);
	kernel_cache_fini(&fs->kernel_cache);
	pthread_mutex_destroy(&fs->lock);
	if (fs->event_fd >= 0)
		close(fs->event_fd);
	free(fs);
}

static struct fs *make_fs(const struct fs_config *config)
{
	struct fs *fs = calloc(1, sizeof(*fs));

	if (!fs)
		return NULL;
	fs->backend = config->backend;
	fs->uid = config->uid;
	fs->gid = config->gid;
	fs->umask = config->umask;
	fs->sync = config->sync;
	fs->timeout_us = config->timeout_s * INT64_C(1000000);
	fs->request_limit_us = mount_request_limit(config->log);
	fs->event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	pthread_mutex_init(&fs->lock, NULL);
	kernel_cache_init(&fs->kernel_cache);
	name_graces_init(&fs->name_graces);
	interned_init(&fs->interned);
	own_inodes_init(&fs->own_inodes);
	handles_init(&fs->handles);
	announcer_init(&fs->announcer);
	waits_init(&fs->waits);
	renderer_init(&fs->renderer);
	return fs;
}

int fs_open(const struct fs_config *config, struct fs **out, struct error *err)
{
	*out = NULL;
	if (backend_models(config->backend) > NODE_MODELS_MAX)
		return error_set(err, E2BIG, "the project has %s, and one mount shows %d at most",
				 count_of((uint64_t)backend_models(config->backend), "model", "models").text,
				 NODE_MODELS_MAX);
	struct fs *fs = make_fs(config);
	if (!fs)
		return error_set(err, ENOMEM, "out of memory");
	int r = fs->event_fd < 0 ? error_set(err, errno, "eventfd: %s", strerror(errno))
				 : mount_session(fs, config, err);
	if (r) {
		free_fs(fs);
		return r;
	}
	*out = fs;
	return 0;
}

/* Invalidate, answer, announce: in this order (announce.h). */
static void on_changed(void *ctx, slot model, struct ordinal_range batches)
{
	struct fs *fs = ctx;

	announce_changed(fs, model, batches);
	wait_changed(fs, model, batches);
	announce_kick(fs);
}

static void on_others_cancel(void *ctx, slot model, struct ordinal_range batches)
{
	wait_others_cancel(ctx, model, batches);
}

/* Before on_changed() of the same batches, which answers those for whom nothing else is left. */
static void on_cancelled(void *ctx, slot model, struct ordinal_range batches, bool ran)
{
	wait_cancelled(ctx, model, batches, ran);
}

/* Before on_changed() of the same models. */
static void on_models(void *ctx, const slot *models, size_t n)
{
	struct fs *fs = ctx;

	announce_models(fs, models, n);
	announce_kick(fs);
}

void fs_listener(struct fs *fs, struct backend_listener *out)
{
	*out = (struct backend_listener){
		.ctx = fs,
		.changed = on_changed,
		.cancelled = on_cancelled,
		.others_cancel = on_others_cancel,
		.models = on_models,
	};
}

static void on_end(void *arg)
{
	struct fs *fs = arg;

	pthread_mutex_lock(&fs->lock);
	fs->stage = FS_ENDED;
	pthread_mutex_unlock(&fs->lock);
	fs_poke(fs);
}

/* fuse_session_loop(), but that it can be ended from outside: as in libfuse's own threads, only while it
 * reads. */
static int serve(struct fs *fs)
{
	int state;

	while (!fuse_session_exited(fs->session)) {
		pthread_setcancelstate(PTHREAD_CANCEL_ENABLE, &state);
		int r = fuse_session_receive_buf(fs->session, &fs->buf);
		pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &state);
		if (r == -EINTR)
			continue;
		if (r <= 0)
			return r;
		__atomic_store_n(&fs->busy_since_us, clock_monotonic_us(), __ATOMIC_RELAXED);
		fuse_session_process_buf(fs->session, &fs->buf);
		__atomic_store_n(&fs->busy_since_us, 0, __ATOMIC_RELAXED);
	}
	return 0;
}

static void *fuse_thread(void *arg)
{
	struct fs *fs = arg;

	pthread_cleanup_push(on_end, fs);
	int r = serve(fs);
	pthread_mutex_lock(&fs->lock);
	fs->result = r;
	pthread_mutex_unlock(&fs->lock);
	pthread_cleanup_pop(1);
	return NULL;
}

static int start_threads(struct fs *fs)
{
	int r = pthread_create(&fs->thread, NULL, fuse_thread, fs);

	if (r)
		return -r;
	fs->started = true;
	r = announcer_start(fs);
	if (r == 0)
		r = renderer_start(fs);
	if (r)
		pthread_cancel(fs->thread);
	return r;
}

int fs_start(struct fs *fs, struct error *err)
{
	sigset_t all, before;

	/* Signals are main's. */
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	int r = start_threads(fs);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return r ? error_set(err, -r, "cannot start a thread: %s", strerror(-r)) : 0;
}

int fs_event_fd(const struct fs *fs)
{
	return fs->event_fd;
}

void fs_poke(struct fs *fs)
{
	uint64_t one = 1;

	/* It fails only where the counter is full, and then it is readable. */
	if (write(fs->event_fd, &one, sizeof(one)) < 0)
		return;
}

int64_t fs_tick(struct fs *fs, int64_t now_us)
{
	uint64_t count;

	if (read(fs->event_fd, &count, sizeof(count)) < 0)
		count = 0;
	return wait_tick(fs, now_us);
}

enum fs_stage fs_stage(struct fs *fs)
{
	LOCKED(&fs->lock);
	return fs->stage;
}

int64_t fs_busy_us(const struct fs *fs, int64_t now_us)
{
	int64_t since = __atomic_load_n(&fs->busy_since_us, __ATOMIC_RELAXED);

	return since && since < now_us ? now_us - since : 0;
}

void fs_exit(struct fs *fs)
{
	wait_close(fs, ECONNABORTED);
	announcer_stop(fs);
}

int fs_close(struct fs *fs)
{
	if (!fs)
		return 0;
	fs_exit(fs);
	announcer_join(fs);
	if (fs->started)
		pthread_join(fs->thread, NULL);
	renderer_stop(fs);
	int result = fs->result;
	fuse_session_unmount(fs->session);
	fuse_session_destroy(fs->session);
	free_fs(fs);
	return result;
}
