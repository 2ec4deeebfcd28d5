/* Ice say: the events about pairs, of all who use ICE. */
#ifndef CLI_ICE_SAY_H
#define CLI_ICE_SAY_H

#include "nat/agent.h"

void ice_say_selected(const struct snet_agent_event *ev);
void ice_say_check(const struct snet_agent_event *ev); /* --explain */

#endif
