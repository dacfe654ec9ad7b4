/* SPDX-License-Identifier: Apache-2.0
 * list.h - intrusive circular doubly linked list. A node that is on no list points to itself, so
 * list_remove() may be called at any time.
 */
#ifndef SHARED_BASE_LIST_H
#define SHARED_BASE_LIST_H

#include <stdbool.h>

struct list {
    struct list *next, *prev;
};

static inline void list_init(struct list *l)
{
    l->next = l->prev = l;
}

static inline bool list_is_empty(const struct list *l)
{
    return l->next == l;
}

static inline void list_insert_after(struct list *at, struct list *n)
{
    n->next = at->next;
    n->prev = at;
    at->next->prev = n;
    at->next = n;
}

static inline void list_append(struct list *head, struct list *n)
{
    list_insert_after(head->prev, n);
}

static inline void list_remove(struct list *n)
{
    /* The analyser loses track of a node's neighbours and thinks that they may be freed ones. */
    n->prev->next = n->next; /* NOLINT(clang-analyzer-unix.Malloc) */
    n->next->prev = n->prev;
    list_init(n);
}

/* Safe against removal of @it itself, not of @tmp. */
#define list_for_each(it, tmp, head) \
    for ((it) = (head)->next, (tmp) = (it)->next; (it) != (head); (it) = (tmp), (tmp) = (it)->next)

#endif
