#include "ffi/parties.h"

#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "ffi/stoffelnet.h"

void *rt;

int setup(void **state)
{
	(void)state;
	rt = stoffelnet_runtime_new();
	return rt ? 0 : -1;
}

int teardown(void **state)
{
	(void)state;
	stoffelnet_runtime_destroy(rt);
	return 0;
}

void *manager(uint64_t id)
{
	void *m = stoffelnet_manager_new(rt, "127.0.0.1:0", id);

	if (!m)
		fail_msg("%s", stoffelnet_last_error());
	return m;
}

void introduce(void *to, void *whom, uint64_t id)
{
	char at[32];

	snprintf(at, sizeof(at), "127.0.0.1:%u", stoffelnet_manager_port(whom));
	assert_int_equal(stoffelnet_manager_add_node(to, at, id), 0);
}

void ok(int32_t rc)
{
	if (rc)
		fail_msg("%d: %s", rc, stoffelnet_last_error());
}

/* Two managers, 1 and 2, that know each other; a connection from the first. */
void pair(void *m[2], void *c[2])
{
	uint64_t who = 0;

	m[0] = manager(1);
	m[1] = manager(2);
	introduce(m[0], m[1], 2);
	introduce(m[1], m[0], 1);
	ok(stoffelnet_manager_connect_to_party(m[0], 2));
	ok(stoffelnet_manager_accept_connection(m[1], &who));
	assert_int_equal(who, 1);
	c[0] = stoffelnet_manager_get_connection(m[0], 2);
	c[1] = stoffelnet_manager_get_connection(m[1], 1);
	assert_non_null(c[0]);
	assert_non_null(c[1]);
}

void part(void *m[2], void *c[2])
{
	for (int i = 0; i < 2; i++) {
		stoffelnet_connection_destroy(c[i]);
		stoffelnet_manager_destroy(m[i]);
	}
}

void expect(void *c, const void *p, size_t n)
{
	uint8_t *got;
	size_t len;

	ok(stoffelnet_connection_receive(c, rt, &got, &len));
	assert_int_equal(len, n);
	if (n)
		assert_memory_equal(got, p, n);
	else
		assert_null(got);
	stoffelnet_free_bytes(got, len);
}

void send_text(void *c, const char *text)
{
	ok(stoffelnet_connection_send(c, rt, (const uint8_t *)text, strlen(text)));
}

bool is_readable(int fd, int timeout_ms)
{
	struct pollfd p = { fd, POLLIN, 0 };

	return poll(&p, 1, timeout_ms) == 1 && p.revents == POLLIN;
}

/* ---- callbacks */

void seen_init(struct seen *s)
{
	memset(s, 0, sizeof(*s));
	pthread_mutex_init(&s->lock, NULL);
	pthread_cond_init(&s->changed, NULL);
}

void on_data(int32_t result, const uint8_t *data, size_t len, void *user)
{
	struct seen *s = user;

	pthread_mutex_lock(&s->lock);
	s->result = result;
	s->len = len;
	if (len && len < sizeof(s->text))
		memcpy(s->text, data, len);
	if (s->conn)
		s->nested = stoffelnet_connection_send(s->conn, rt, data, len);
	s->calls++;
	pthread_cond_signal(&s->changed);
	pthread_mutex_unlock(&s->lock);
}

void on_result(int32_t result, void *user)
{
	on_data(result, NULL, 0, user);
}

void seen_wait(struct seen *s)
{
	pthread_mutex_lock(&s->lock);
	while (!s->calls)
		pthread_cond_wait(&s->changed, &s->lock);
	pthread_mutex_unlock(&s->lock);
}
