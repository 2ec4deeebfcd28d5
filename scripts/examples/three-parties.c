/* three-parties: three parties in one process; each sends its number to the others and prints
 * the sum of all. No party of a real computation would send it in the clear; see secure-sum.
 *
 *	cc -o three-parties three-parties.c $(pkg-config --cflags --libs stoffelnet) */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <stoffelnet.h>

#define PARTIES 3

static const uint64_t numbers[PARTIES] = { 10, 20, 12 };

static void die(const char *what)
{
	const char *why = stoffelnet_last_error();

	fprintf(stderr, "three-parties: %s: %s\n", what, why ? why : "?");
	exit(1);
}

int main(void)
{
	void *runtime = stoffelnet_runtime_new(), *manager[PARTIES];
	void *conn[PARTIES][PARTIES] = { 0 };

	if (!runtime)
		die("runtime");
	for (int i = 0; i < PARTIES; i++)
		if (!(manager[i] = stoffelnet_manager_new(runtime, "127.0.0.1:0", i)))
			die("manager");
	for (int i = 0; i < PARTIES; i++)
		for (int j = 0; j < PARTIES; j++) {
			char at[32];

			snprintf(at, sizeof(at), "127.0.0.1:%u",
				 stoffelnet_manager_port(manager[j]));
			if (i != j && stoffelnet_manager_add_node(manager[i], at, j))
				die("add_node");
		}
	/* The lower number dials. */
	for (int i = 0; i < PARTIES; i++)
		for (int j = i + 1; j < PARTIES; j++) {
			uint64_t who;

			if (stoffelnet_manager_connect_to_party(manager[i], j))
				die("connect");
			if (stoffelnet_manager_accept_connection(manager[j], &who))
				die("accept");
			conn[i][j] = stoffelnet_manager_get_connection(manager[i], j);
			conn[j][i] = stoffelnet_manager_get_connection(manager[j], who);
			if (!conn[i][j] || !conn[j][i])
				die("get_connection");
		}
	for (int i = 0; i < PARTIES; i++)
		for (int j = 0; j < PARTIES; j++)
			if (i != j && stoffelnet_connection_send(conn[i][j], runtime,
								 (const uint8_t *)&numbers[i],
								 sizeof(numbers[i])))
				die("send");
	for (int i = 0; i < PARTIES; i++) {
		uint64_t sum = numbers[i];

		for (int j = 0; j < PARTIES; j++) {
			uint8_t *data;
			uint64_t number;
			size_t n;

			if (i == j)
				continue;
			if (stoffelnet_connection_receive(conn[i][j], runtime, &data, &n) ||
			    n != sizeof(number))
				die("receive");
			memcpy(&number, data, n);
			stoffelnet_free_bytes(data, n);
			sum += number;
		}
		printf("party %d: %" PRIu64 "\n", i, sum);
	}
	for (int i = 0; i < PARTIES; i++)
		for (int j = 0; j < PARTIES; j++)
			stoffelnet_connection_destroy(conn[i][j]);
	for (int i = 0; i < PARTIES; i++)
		stoffelnet_manager_destroy(manager[i]);
	stoffelnet_runtime_destroy(runtime);
	return 0;
}
