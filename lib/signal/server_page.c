/* Server page: how the server is, for people and for Prometheus. Nothing that lets anybody in:
 * where no token is asked for, the name of a room is the only secret it has. */
#include "base/units.h"
#include "obs/metrics.h"
#include "signal/server_impl.h"

static const char head[] =
	"<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">"
	"<meta http-equiv=\"refresh\" content=\"5\"><title>snet-signal</title>\n"
	"<style>body{font:15px sans-serif;margin:2em}td,th{text-align:right;padding:.2em 1em}"
	"td:first-child,th:first-child{text-align:left}</style></head><body>\n";

/* In whole seconds. */
static const char *age(snet_time now, snet_time then, char out[static SNET_UNITS_TEXT])
{
	return snet_duration_print((now - then) / SNET_SEC * SNET_SEC, out);
}

int snet_signal_page(const struct snet_signal_server *s, struct snet_buf *b)
{
	snet_time now = snet_loop_now(s->loop);
	const struct snet_room *at = NULL;
	char born[SNET_UNITS_TEXT], last[SNET_UNITS_TEXT];
	struct snet_room_about r;
	unsigned number = 0;

	snet_buf_str(b, head);
	snet_buf_fmt(b, "<h1>snet-signal</h1>\n<p>up %s, %zu rooms, %zu members</p>\n",
		     age(now, s->born, born), snet_rooms_count(s->rooms),
		     snet_rooms_members(s->rooms));
	snet_buf_str(b, "<table><tr><th>room</th><th>members</th><th>age</th>"
			"<th>silent for</th><th>messages</th><th>kept</th></tr>\n");
	while (snet_rooms_next(s->rooms, &at, &r)) {
		if (s->tokens.are_wanted)
			snet_buf_fmt(b, "<tr><td>%s</td>", r.name);
		else
			snet_buf_fmt(b, "<tr><td>%u</td>", ++number);
		snet_buf_fmt(
			b, "<td>%zu</td><td>%s</td><td>%s</td><td>%llu</td><td>%zu</td></tr>\n",
			r.members, age(now, r.born, born), age(now, r.last, last),
			(unsigned long long)r.messages, r.kept_messages);
	}
	snet_buf_str(b, "</table></body></html>\n");
	return b->bad ? SNET_ENOMEM : SNET_OK;
}

int snet_signal_metrics(const struct snet_signal_server *s, struct snet_buf *b)
{
	int rc = snet_metrics_text(b);

	snet_buf_fmt(b,
		     "# HELP snet_signal_rooms Rooms with somebody in them\n"
		     "# TYPE snet_signal_rooms gauge\n"
		     "snet_signal_rooms %zu\n",
		     snet_rooms_count(s->rooms));
	return rc ? rc : b->bad ? SNET_ENOMEM : SNET_OK;
}
