/* List: intrusive, doubly linked, circular. A node that is in no list points at itself. */
#ifndef SNET_BASE_LIST_H
#define SNET_BASE_LIST_H

#include <stdbool.h>
#include <stddef.h>

struct snet_list {
	struct snet_list *next, *prev;
};

static inline void snet_list_init(struct snet_list *l)
{
	l->next = l->prev = l;
}

static inline bool snet_list_is_empty(const struct snet_list *l)
{
	return l->next == l;
}

/* Before head: at the end of the list. */
static inline void snet_list_add(struct snet_list *head, struct snet_list *node)
{
	node->prev = head->prev;
	node->next = head;
	head->prev->next = node;
	head->prev = node;
}

/* Out of whatever list it is in; safe to call again. */
static inline void snet_list_del(struct snet_list *node)
{
	node->prev->next = node->next;
	node->next->prev = node->prev;
	snet_list_init(node);
}

#define SNET_OF(node, type, member) ((type *)((char *)(node)-offsetof(type, member)))

#endif
