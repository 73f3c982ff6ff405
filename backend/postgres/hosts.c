/* SPDX-License-Identifier: Apache-2.0 */
#include "backend/postgres/hosts.h"

#include <netdb.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int add(struct pg_hosts *h, const struct pg_address *at, struct error *err)
{
	struct pg_address *list = realloc(h->list, (h->n + 1) * sizeof *list);
	if (!list)
		return error_set(err, ENOMEM, "no memory for the warehouse's addresses");
	h->list = list;
	h->list[h->n++] = *at;
	return 0;
}

/* The i-th of a list with commas; "" where it has none. A list of one holds for all, where `shared`. */
static void element(const char *list, size_t i, bool shared, char *to, size_t size)
{
	const char *from = list;
	if (shared && !strchr(list, ','))
		i = 0;
	for (; i > 0 && from; i--) {
		from = strchr(from, ',');
		from = from ? from + 1 : NULL;
	}
	snprintf(to, size, "%.*s", from ? (int)strcspn(from, ",") : 0, from ? from : "");
}

static size_t elements(const char *list)
{
	size_t n = 1;
	while ((list = strchr(list, ',')))
		list++, n++;
	return n;
}

/* A name has as many addresses as the name service says; libpq would try them without a limit as well. */
static int add_host(struct pg_hosts *h, const struct pg_address *at, struct error *err)
{
	struct addrinfo hint = {.ai_socktype = SOCK_STREAM, .ai_family = AF_UNSPEC}, *found = NULL;
	bool named = *at->host && *at->host != '/' && *at->host != '@' && !*at->ip;
	if (!named || getaddrinfo(at->host, NULL, &hint, &found) != 0)
		return add(h, at, err);
	int r = 0;
	for (struct addrinfo *a = found; a && !r; a = a->ai_next) {
		struct pg_address one = *at;
		if (getnameinfo(a->ai_addr, a->ai_addrlen, one.ip, sizeof one.ip, NULL, 0, NI_NUMERICHOST))
			one.ip[0] = '\0';
		r = add(h, &one, err);
	}
	freeaddrinfo(found);
	return r;
}

static const char *option(const PQconninfoOption *all, const char *keyword)
{
	for (; all->keyword; all++)
		if (strcmp(all->keyword, keyword) == 0)
			return all->val ? all->val : "";
	return "";
}

int hosts_read(PGconn *pq, struct pg_hosts *out, struct error *err)
{
	*out = (struct pg_hosts){0};
	PQconninfoOption *all = PQconninfo(pq);
	if (!all)
		return error_set(err, ENOMEM, "no memory for the warehouse's addresses");
	const char *hosts = option(all, "host"), *ips = option(all, "hostaddr"), *ports = option(all, "port");
	size_t n = elements(*ips ? ips : hosts);
	int r = 0;
	for (size_t i = 0; i < n && !r; i++) {
		struct pg_address at;
		element(hosts, i, false, at.host, sizeof at.host);
		element(ips, i, false, at.ip, sizeof at.ip);
		element(ports, i, true, at.port, sizeof at.port);
		r = add_host(out, &at, err);
	}
	PQconninfoFree(all);
	return r;
}

void hosts_fini(struct pg_hosts *h)
{
	free(h->list);
	*h = (struct pg_hosts){0};
}
