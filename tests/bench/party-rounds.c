/* party-rounds: rounds in lockstep as the program on the pipes of a snet-party sees them, with
 * format addressed on both. In each round it writes one message for each of the other parties,
 * all in one write, and reads until one of each has come. Its stdout is the party's stdin, so
 * the JSON line goes to stderr. To be held against tcp-rounds.
 *
 *   party-rounds -i SELF -p PARTIES [-n ROUNDS] [-s BYTES] */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <unistd.h>

#include "bench.h"

enum { PARTIES_MAX = 64, BYTES_MAX = 16384, HEAD = 8, TOO_LATE_S = 120 };

struct program {
	size_t self, parties, bytes;
	uint64_t seen[PARTIES_MAX]; /* messages of each party */
	uint64_t round;             /* that this one is in, from 1 */
	size_t missing;             /* parties that have not sent that round's */
	uint8_t *out, *in;          /* one frame for each of the others; what has been read */
	size_t have, room;
};

static void put32(uint8_t *p, uint32_t v)
{
	for (unsigned i = 0; i < 4; i++)
		p[i] = (uint8_t)(v >> (24 - 8 * i));
}

static uint32_t get32(const uint8_t *p)
{
	return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static void prepare(struct program *p)
{
	size_t frame = HEAD + p->bytes;
	uint8_t *at;

	p->room = 4 * p->parties * frame; /* nobody is more than one round ahead */
	p->out = calloc(p->parties, frame);
	p->in = malloc(p->room);
	if (!p->out || !p->in)
		bench_die("out of memory");
	at = p->out;
	for (size_t i = 0; i < p->parties; i++) {
		if (i == p->self)
			continue;
		put32(at, (uint32_t)(4 + p->bytes));
		put32(at + 4, (uint32_t)i);
		at += frame;
	}
}

static void transmit(const struct program *p)
{
	const uint8_t *at = p->out;
	size_t left = (p->parties - 1) * (HEAD + p->bytes);

	while (left) {
		ssize_t put = write(STDOUT_FILENO, at, left);

		if (put < 0 && errno != EINTR)
			bench_die("cannot write: %m");
		at += put < 0 ? 0 : put;
		left -= put < 0 ? 0 : (size_t)put;
	}
}

static void take(struct program *p, const uint8_t *frame)
{
	uint32_t from = get32(frame + 4);

	if (get32(frame) != 4 + p->bytes || from >= p->parties || from == p->self)
		bench_die("a message of %u bytes from party %u", get32(frame), from);
	if (++p->seen[from] == p->round)
		p->missing--;
	if (p->seen[from] > p->round + 1)
		bench_die("party %u is two rounds ahead", from);
}

static void receive(struct program *p)
{
	ssize_t got = read(STDIN_FILENO, p->in + p->have, p->room - p->have);
	size_t at = 0;

	if (got < 0 && errno == EINTR)
		return;
	if (got <= 0)
		bench_die("the party has ended");
	p->have += (size_t)got;
	for (; p->have - at >= HEAD + p->bytes; at += HEAD + p->bytes)
		take(p, p->in + at);
	memmove(p->in, p->in + at, p->have - at);
	p->have -= at;
}

static void one_round(struct program *p)
{
	p->round++;
	p->missing = 0;
	for (size_t i = 0; i < p->parties; i++)
		p->missing += i != p->self && p->seen[i] < p->round;
	transmit(p);
	while (p->missing)
		receive(p);
}

int main(int argc, char **argv)
{
	struct program p = { .self = SIZE_MAX, .bytes = 64 };
	size_t rounds = 20000;
	uint64_t begin;
	int c;

	while ((c = getopt(argc, argv, "i:p:n:s:")) != -1) {
		if (c == 'i')
			p.self = *optarg == '0' ? 0 : bench_number(optarg, "-i");
		else if (c == 'p')
			p.parties = bench_number(optarg, "-p");
		else if (c == 'n')
			rounds = bench_number(optarg, "-n");
		else if (c == 's')
			p.bytes = bench_number(optarg, "-s");
		else
			return 2;
	}
	if (p.parties > PARTIES_MAX || p.self >= p.parties || p.bytes > BYTES_MAX)
		bench_die("-i and -p: at most %d parties, and one of them; -s: at most %d",
			  PARTIES_MAX, BYTES_MAX);
	prepare(&p);
	bench_deadline(TOO_LATE_S);
	for (size_t i = 0; i < BENCH_WARM_UP; i++)
		one_round(&p);
	begin = bench_now_ns();
	for (size_t i = 0; i < rounds; i++)
		one_round(&p);
	bench_print_rate(stderr, rounds, bench_now_ns() - begin);
	free(p.out);
	free(p.in);
	return 0;
}
