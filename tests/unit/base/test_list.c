#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/list.h"

struct item {
	int id;
	struct snet_list node;
};

static void expect(const struct snet_list *head, const int *ids, size_t n)
{
	const struct snet_list *l = head->next;

	for (size_t i = 0; i < n; i++, l = l->next) {
		assert_ptr_not_equal(l, head);
		assert_int_equal(SNET_OF(l, struct item, node)->id, ids[i]);
		assert_ptr_equal(l->next->prev, l);
	}
	assert_ptr_equal(l, head);
	assert_int_equal(snet_list_is_empty(head), !n);
}

static void items_stand_in_the_order_they_came(void **state)
{
	struct item item[] = { { .id = 1 }, { .id = 2 }, { .id = 3 } };
	struct snet_list head;

	(void)state;
	snet_list_init(&head);
	expect(&head, NULL, 0);
	for (size_t i = 0; i < 3; i++)
		snet_list_add(&head, &item[i].node);
	expect(&head, (int[]){ 1, 2, 3 }, 3);
	snet_list_del(&item[1].node);
	expect(&head, (int[]){ 1, 3 }, 2);
	snet_list_add(&item[0].node, &item[1].node); /* before an item is a place too */
	expect(&head, (int[]){ 2, 1, 3 }, 3);
}

static void deleting_twice_is_harmless(void **state)
{
	struct item item[] = { { .id = 1 }, { .id = 2 } };
	struct snet_list head;

	(void)state;
	snet_list_init(&head);
	snet_list_add(&head, &item[0].node);
	snet_list_add(&head, &item[1].node);
	snet_list_del(&item[0].node);
	assert_true(snet_list_is_empty(&item[0].node));
	snet_list_del(&item[0].node);
	expect(&head, (int[]){ 2 }, 1);
	snet_list_del(&item[1].node);
	expect(&head, NULL, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(items_stand_in_the_order_they_came),
		cmocka_unit_test(deleting_twice_is_harmless),
	};

	return cmocka_run_group_tests_name("base/list", tests, NULL, NULL);
}
