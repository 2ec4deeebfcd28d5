/* relay: a UDP relay for the tests of what networks do to a connection.
 *
 *	relay LISTEN_PORT TARGET_PORT      on 127.0.0.1; prints the port it listens at
 *
 * Commands on stdin, one per line: "rebind" leaves the relay with a new source port, as a NAT
 * does that forgot; "narrow N" drops datagrams of more than N bytes from then on; "lose N"
 * drops one datagram in N; "mute" drops everything; "echo" prints how many went each way. */
#include <arpa/inet.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static size_t narrow = 65536;
static unsigned long lose, count, passed[2];
static int mute;

static int open_at(unsigned port)
{
	struct sockaddr_in at = { .sin_family = AF_INET, .sin_port = htons((uint16_t)port) };
	int fd = socket(AF_INET, SOCK_DGRAM, 0), size = 4 << 20;

	at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size));
	if (fd < 0 || bind(fd, (struct sockaddr *)&at, sizeof(at))) {
		perror("relay");
		exit(1);
	}
	return fd;
}

static int dropped(size_t n)
{
	return mute || n > narrow || (lose && ++count % lose == 0);
}

static int command(int out)
{
	char line[64];

	if (!fgets(line, sizeof(line), stdin))
		return -1;
	if (!strncmp(line, "narrow ", 7))
		narrow = (size_t)atol(line + 7);
	else if (!strncmp(line, "lose ", 5))
		lose = (unsigned long)atol(line + 5);
	else if (!strcmp(line, "mute\n"))
		mute = 1;
	else if (!strcmp(line, "rebind\n")) {
		close(out);
		out = open_at(0);
	}
	printf("ok %lu %lu\n", passed[0], passed[1]);
	fflush(stdout);
	return out;
}

int main(int argc, char **argv)
{
	struct sockaddr_in target = { .sin_family = AF_INET }, client = { 0 }, from;
	socklen_t len = sizeof(from);
	static char d[65536];
	int in, out;

	if (argc != 3)
		return 2;
	in = open_at((unsigned)atoi(argv[1]));
	out = open_at(0);
	target.sin_port = htons((uint16_t)atoi(argv[2]));
	target.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	getsockname(in, (struct sockaddr *)&from, &len);
	printf("%u\n", ntohs(from.sin_port));
	fflush(stdout);
	setvbuf(stdin, NULL, _IONBF, 0);
	while (out >= 0) {
		struct pollfd p[3] = { { in, POLLIN, 0 },
				       { out, POLLIN, 0 },
				       { 0, POLLIN, 0 } };

		poll(p, 3, -1);
		for (int side = 0; side < 2; side++) {
			ssize_t n;

			if (!(p[side].revents & POLLIN))
				continue;
			len = sizeof(from);
			n = recvfrom(p[side].fd, d, sizeof(d), MSG_DONTWAIT,
				     (struct sockaddr *)&from, &len);
			if (n < 0 || dropped((size_t)n))
				continue;
			if (side == 0)
				client = from;
			sendto(side ? in : out, d, (size_t)n, 0,
			       (struct sockaddr *)(side ? &client : &target), sizeof(client));
			passed[side]++;
		}
		if (p[2].revents)
			out = command(out);
	}
	return 0;
}
