#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "cli/roster.h"
#include "cli/spawn_impl.h"

int spawn_make_files(struct net_of *s, struct snet_error *err)
{
	char(*at)[32] = calloc(s->n, sizeof(*at)), path[PATH_MAX];
	const char **list = calloc(s->n, sizeof(*list));
	struct roster r = { 0 };
	int rc = at && list ? SNET_OK : snet_fail(err, SNET_ENOMEM, "--spawn");

	for (uint32_t i = 0; !rc && i < s->n; i++) {
		struct sockaddr_in in = { 0 };
		socklen_t len = sizeof(in);

		if (getsockname(s->places[i].socket, (struct sockaddr *)&in, &len))
			rc = snet_fail(err, SNET_EBIND, "%s", strerror(errno));
		snprintf(at[i], sizeof(*at), "127.0.0.1:%u", ntohs(in.sin_port));
		list[i] = at[i];
	}
	if (!rc)
		rc = roster_plan(&r, s->n, list, s->n, "party", "spawn", err);
	for (size_t i = 0; !rc && i <= s->n; i++) {
		struct snet_identity *who = NULL;

		rc = roster_make(&r, i, s->dir, SNET_KEY_P256, false, path, &who, err);
		snet_identity_free(who);
	}
	snprintf(s->roster, sizeof(s->roster), "%s/roster.json", s->dir);
	roster_unplan(&r);
	free(list);
	free(at);
	return rc;
}

void spawn_remove_files(struct net_of *s)
{
	char path[PATH_MAX];

	spawn_link_remove(&s->link, s->n);
	for (uint32_t i = 0; i < s->n; i++) {
		snprintf(path, sizeof(path), "%s/%u.key", s->dir, i);
		unlink(path);
	}
	unlink(s->roster);
	rmdir(s->dir);
}

int spawn_bind(void)
{
	struct sockaddr_in in = { .sin_family = AF_INET,
				  .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	if (fd >= 0 && bind(fd, (struct sockaddr *)&in, sizeof(in))) {
		close(fd);
		return -1;
	}
	return fd;
}

const char *spawn_roster(const struct net_of *s, uint32_t i, char path[static PATH_MAX])
{
	if (!s->link.pid)
		return s->roster;
	spawn_link_roster(&s->link, i, path);
	return path;
}
