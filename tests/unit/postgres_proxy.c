/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/postgres_proxy.h"

#include <poll.h>
#include <stdbool.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define PAIRS 16

struct pair {
	int client, server; /* client < 0: free */
};

static struct {
	pthread_t thread;
	pthread_mutex_t lock; /* protects when, cuts and pooled */
	enum cut when;
	unsigned cuts;
	bool pooled;
	int listener, end[2];
	char real[108], dir[100];
	struct pair pairs[PAIRS];
} proxy = {.lock = PTHREAD_MUTEX_INITIALIZER};

static int unix_socket(const char *dir, struct sockaddr_un *address)
{
	*address = (struct sockaddr_un){.sun_family = AF_UNIX};
	snprintf(address->sun_path, sizeof address->sun_path, "%.90s/.s.PGSQL.5432", dir);
	return socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
}

static void close_pair(struct pair *p)
{
	close(p->client);
	close(p->server);
	p->client = p->server = -1;
}

static void accept_one(void)
{
	struct sockaddr_un address;
	int client = accept(proxy.listener, NULL, NULL), server = unix_socket(proxy.real, &address);
	for (int i = 0; i < PAIRS && client >= 0; i++) {
		if (proxy.pairs[i].client >= 0)
			continue;
		if (connect(server, (struct sockaddr *)&address, sizeof address))
			break;
		proxy.pairs[i] = (struct pair){client, server};
		return;
	}
	close(client);
	close(server);
}

static enum cut take_cut(const char *data, size_t len)
{
	pthread_mutex_lock(&proxy.lock);
	enum cut when = proxy.when;
	if (when != CUT_NEVER && memmem(data, len, "commit", sizeof "commit")) {
		proxy.when = CUT_NEVER;
		proxy.cuts++;
	} else {
		when = CUT_NEVER;
	}
	pthread_mutex_unlock(&proxy.lock);
	return when;
}

static void send_all(int fd, const char *data, size_t len)
{
	while (len > 0) {
		ssize_t n = send(fd, data, len, MSG_NOSIGNAL);
		if (n <= 0)
			return;
		data += n;
		len -= (size_t)n;
	}
}

/* BackendKeyData: the pid that the client is told is the pooler's invention. */
static void invent_pid(char *data, size_t len)
{
	pthread_mutex_lock(&proxy.lock);
	char *key = proxy.pooled ? memmem(data, len, "K\0\0\0\014", 5) : NULL;
	pthread_mutex_unlock(&proxy.lock);
	if (key && key + 9 <= data + len)
		key[8] ^= 1;
}

static void pass(struct pair *p, bool from_client)
{
	char data[65536];
	ssize_t n = recv(from_client ? p->client : p->server, data, sizeof data, 0);
	if (n <= 0) {
		close_pair(p);
		return;
	}
	enum cut when = from_client ? take_cut(data, (size_t)n) : CUT_NEVER;
	if (when == CUT_BEFORE) {
		close_pair(p);
		return;
	}
	if (!from_client)
		invent_pid(data, (size_t)n);
	send_all(from_client ? p->server : p->client, data, (size_t)n);
	if (when == CUT_AFTER) {
		n = recv(p->server, data, sizeof data, 0);
		close_pair(p);
	}
}

static void *serve(void *arg)
{
	for (;;) {
		struct pollfd fds[2 + 2 * PAIRS] = {{.fd = proxy.listener, .events = POLLIN},
						    {.fd = proxy.end[0], .events = POLLIN}};
		for (int i = 0; i < PAIRS; i++) {
			fds[2 + 2 * i] = (struct pollfd){.fd = proxy.pairs[i].client, .events = POLLIN};
			fds[3 + 2 * i] = (struct pollfd){.fd = proxy.pairs[i].server, .events = POLLIN};
		}
		poll(fds, 2 + 2 * PAIRS, -1);
		if (fds[1].revents)
			return NULL;
		for (int i = 0; i < PAIRS; i++) {
			if (fds[2 + 2 * i].revents)
				pass(&proxy.pairs[i], true);
			if (fds[3 + 2 * i].revents && proxy.pairs[i].client >= 0)
				pass(&proxy.pairs[i], false);
		}
		if (fds[0].revents)
			accept_one();
	}
}

void proxy_start(void)
{
	struct sockaddr_un address;
	snprintf(proxy.real, sizeof proxy.real, "%s", getenv("PGHOST"));
	snprintf(proxy.dir, sizeof proxy.dir, "%.80s/proxy", proxy.real);
	proxy.when = CUT_NEVER;
	proxy.cuts = 0;
	proxy.pooled = false;
	for (int i = 0; i < PAIRS; i++)
		proxy.pairs[i] = (struct pair){-1, -1};
	proxy.listener = unix_socket(proxy.dir, &address);
	if (mkdir(proxy.dir, 0777) || bind(proxy.listener, (struct sockaddr *)&address, sizeof address) ||
	    listen(proxy.listener, PAIRS) || pipe(proxy.end) ||
	    pthread_create(&proxy.thread, NULL, serve, NULL)) {
		perror("proxy");
		abort();
	}
	setenv("PGHOST", proxy.dir, 1);
}

void proxy_stop(void)
{
	struct sockaddr_un address;
	close(proxy.end[1]);
	pthread_join(proxy.thread, NULL);
	close(proxy.end[0]);
	close(proxy.listener);
	for (int i = 0; i < PAIRS; i++)
		if (proxy.pairs[i].client >= 0)
			close_pair(&proxy.pairs[i]);
	close(unix_socket(proxy.dir, &address));
	unlink(address.sun_path);
	rmdir(proxy.dir);
	setenv("PGHOST", proxy.real, 1);
}

void proxy_cut(enum cut when)
{
	pthread_mutex_lock(&proxy.lock);
	proxy.when = when;
	pthread_mutex_unlock(&proxy.lock);
}

unsigned proxy_cuts(void)
{
	pthread_mutex_lock(&proxy.lock);
	unsigned n = proxy.cuts;
	pthread_mutex_unlock(&proxy.lock);
	return n;
}

void proxy_pooled(void)
{
	pthread_mutex_lock(&proxy.lock);
	proxy.pooled = true;
	pthread_mutex_unlock(&proxy.lock);
}
