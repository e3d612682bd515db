"""Training on a corpus: its own loaders, and a validation by loss alone."""

import torch
from torch.utils.data import DataLoader, IterableDataset

from textbox_elmer.model.losses import token_count
from textbox_elmer.pretraining.corpus import CorpusBatches, CorpusLoader, HeldOutTexts, StreamedCorpus, TextCorpus
from textbox_elmer.runtime.training.trainer import HostTrainer


class PretrainingTrainer(HostTrainer):
    """`HostTrainer` over corpora, whose batches are dealt to the processes without repeating any example."""

    train_dataset: TextCorpus | StreamedCorpus
    eval_dataset: TextCorpus | HeldOutTexts

    def get_train_dataloader(self) -> DataLoader:
        """Return this process's batches of the training corpus; Trainer sets the epoch of each."""
        workers, pinned = self.args.dataloader_num_workers, self.args.dataloader_pin_memory
        corpus, collate, size = self.train_dataset, self.data_collator, self._train_batch_size
        if isinstance(corpus, IterableDataset):
            # A second worker would read the stream a second time.
            return DataLoader(corpus, size, collate_fn=collate, num_workers=min(1, workers), pin_memory=pinned)
        batches = CorpusBatches(corpus, size, self.args.seed, self.args.world_size, self.args.process_index)
        return CorpusLoader(corpus, batch_sampler=batches, collate_fn=collate, num_workers=workers, pin_memory=pinned)

    def get_eval_dataloader(self, eval_dataset: object = None) -> DataLoader:
        """Return this process's batches of the validation corpus, in its own order and always with the same noise.

        They are as large as those of the training, since a text costs as much memory here as there.
        """
        corpus, size = self.eval_dataset, self._train_batch_size
        batches = CorpusBatches(corpus, size, None, self.args.world_size, self.args.process_index)
        return CorpusLoader(corpus, batch_sampler=batches, collate_fn=self.data_collator)

    @torch.no_grad()
    def evaluate(self, *args: object, **kwargs: object) -> dict[str, float]:
        """Return the mean loss per token over the validation corpus, in nats, as `eval_loss`."""
        loader = self.callback_handler.eval_dataloader = self.get_eval_dataloader()
        total = torch.zeros(2, dtype=torch.float64)
        with self._whole():
            self.model.eval()
            for batch in loader:
                inputs = self._prepare_inputs(batch)
                with self.compute_loss_context_manager():
                    loss = self.compute_loss(self.model, inputs)
                tokens = token_count(inputs["labels"])
                total += torch.stack([loss.double() * tokens, tokens.double()]).cpu()
                self.callback_handler.on_prediction_step(self.args, self.state, self.control)
        total = self.accelerator.reduce(total.to(self.args.device), reduction="sum")
        metrics = {"eval_loss": (total[0] / total[1]).item()}
        self.log(metrics)
        self.control = self.callback_handler.on_evaluate(self.args, self.state, self.control, metrics)
        return metrics
