/* cells.h - what the model floor shares with other processes, kept in the store's cells.
 *
 * The two floors are blind to each other; this is where they meet.
 */
#ifndef TM_FACE_CELLS_H
#define TM_FACE_CELLS_H

#include "llm/llm.h"
#include "store/store.h"

typedef struct tm_face_cells {
  tm_store *store;
  tm_loop *loop;
  int writing; /* batches at the store */
} tm_face_cells;

/* The port; c outlives it. */
tm_llm_cells tm_cells_port(tm_face_cells *c, tm_store *store, tm_loop *loop);

#endif
