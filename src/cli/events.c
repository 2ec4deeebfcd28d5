#include "cli/events.h"

#include <stdio.h>
#include <string.h>

/* clang-format off */
const struct event_row event_rows[] = {
#define E(event, words) { event, NULL, EVENT_TEXT, words },
#define F(field, type, words) { NULL, field, EVENT_##type, words },
	EVENTS(E, F)
#undef E
#undef F
};
/* clang-format on */

const size_t event_row_count = sizeof(event_rows) / sizeof(event_rows[0]);

const struct event_row *event_find(const char *event)
{
	for (size_t i = 0; i < event_row_count; i++)
		if (event_rows[i].event && !strcmp(event_rows[i].event, event))
			return &event_rows[i];
	return NULL;
}

const struct event_row *event_field(const struct event_row *begin, const char *field)
{
	for (const struct event_row *r = begin + 1; r < event_rows + event_row_count; r++) {
		if (r->event)
			break;
		if (!strcmp(r->field, field))
			return r;
	}
	return NULL;
}

void events_print_list(void)
{
	static const char *const types[] = { "string", "number", "boolean",
					     "base64", "hex",    "json" };
	const char *event = "";

	for (size_t i = 0; i < event_row_count; i++) {
		const struct event_row *r = &event_rows[i];

		if (r->event)
			event = r->event;
		else
			printf("%s %s %s\n", event, r->field, types[r->type]);
	}
}
