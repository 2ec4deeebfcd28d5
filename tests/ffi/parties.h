/* Parties: managers on loopback for the tests of the public API, and what callbacks have seen.
 * A failure fails the test. */
#ifndef TESTS_FFI_PARTIES_H
#define TESTS_FFI_PARTIES_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

extern void *rt; /* the runtime, from setup to teardown */

int setup(void **state);
int teardown(void **state);

void ok(int32_t rc); /* or fails with the thread's last error */
void *manager(uint64_t id);
void introduce(void *to, void *whom, uint64_t id);
/* Two managers, 1 and 2, that know each other; a connection from the first. */
void pair(void *m[2], void *c[2]);
void part(void *m[2], void *c[2]);
void expect(void *c, const void *p, size_t n); /* the next message */
void send_text(void *c, const char *text);
bool is_readable(int fd, int timeout_ms);

/* What a callback saw. */
struct seen {
	pthread_mutex_t lock;
	pthread_cond_t changed;
	int calls;
	int32_t result;
	size_t len;
	char text[64];
	void *conn; /* to try a call that waits */
	int32_t nested;
};

void seen_init(struct seen *s);
void seen_wait(struct seen *s);
void on_data(int32_t result, const uint8_t *data, size_t len, void *user);
void on_result(int32_t result, void *user);

#endif
