/* Groups: the options the programs share, so that one letter means one thing everywhere, and
 * what they were set to. */
#ifndef CLI_GROUPS_H
#define CLI_GROUPS_H

#include "base/clock.h"
#include "cli/format.h"
#include "cli/opts.h"

enum overflow { OVERFLOW_BLOCK, OVERFLOW_DROP, OVERFLOW_FAIL };
enum log_format { LOG_TEXT, LOG_JSON };
enum wire_profile { PROFILE_AUTO, PROFILE_STOFFELNET_0_1 };

/* One per process: the command line is one per process too. Written by opts_parse and
 * groups_check, read by everyone. */
extern struct cli {
	/* whom to be, whom to trust */
	const char *key, *roster, *ca;
	uint64_t id; /* party id; OPT_NONE: not given */
	struct opt_list allow;
	bool insecure;
	int role; /* enum snet_role */

	/* shapes */
	int format, payload; /* enum format, enum payload */

	/* time */
	snet_time wait, timeout, idle_timeout, keep_alive;

	/* limits */
	uint64_t max_message, queue;
	int overflow; /* enum overflow */

	/* the pipe */
	bool send_only, recv_only, keep_open;
	uint64_t replies, count; /* OPT_NONE: not given */
	uint64_t stream;         /* of messages that name none */
	const char *kind_name;
	uint8_t kind; /* of messages that name none: groups_check makes it of kind_name */

	/* transport */
	int cc;       /* enum snet_cc */
	uint64_t mtu; /* UDP payload; 0: found by itself */
	bool only_ipv4, only_ipv6;
	int profile; /* enum wire_profile */

	/* looking inside */
	int verbose;
	bool quiet, human, progress;
	int log_format;        /* enum log_format */
	snet_time stats_every; /* 0: not */
	const char *metrics_file;
	uint64_t ready_fd; /* OPT_NONE: not given */
} cli;

extern const struct opt identity_opts[];  /* -k -r -i -a --ca --insecure */
extern const struct opt dial_opts[];      /* -w --role */
extern const struct opt format_opts[];    /* -f --payload */
extern const struct opt time_opts[];      /* -t --idle-timeout --keep-alive */
extern const struct opt limit_opts[];     /* --max-message --queue --overflow */
extern const struct opt transport_opts[]; /* --cc --mtu --profile -4 -6 */
extern const struct opt looking_opts[];   /* -v -q --log-format -H */
extern const struct opt stats_opts[];     /* --stats-every --metrics-file --progress */
extern const struct opt ready_opts[];     /* --ready-fd */
/* --send-only --recv-only --keep-open --replies --count --stream --kind */
extern const struct opt pipe_opts[];

/* What one table row cannot say: options that exclude each other, names to resolve.
 * SNET_EINVAL, err in words. */
int groups_check(struct snet_error *err);

#endif
