"""Hints at what users mean by options that do not exist: words of other libraries, and of the other programs here.

Hints go by meaning. By its letters, `data.dir` is close to `data.cache_dir`, a folder that users delete without regret.
"""

import difflib
from collections.abc import Iterable

# Each says what to type instead; {value} is what the user gave.
EVERYWHERE = {
    "device": "say trainer.accelerator=cpu or trainer.accelerator=gpu; auto takes what is there",
    "gpus": "say trainer.devices=2 for two GPUs, and trainer.accelerator=cpu for none",
    "cpu": "say trainer.accelerator=cpu",
    "cuda": "say trainer.accelerator=gpu",
    "precision": "say trainer.precision={value}",
    "output": "say hydra.run.dir={value}",
    "random_seed": "say seed={value}",
    "quiet": "say trainer.enable_progress_bar=false",
    "verbose": "say hydra.verbose=true",
    "num_workers": "leave it out: clips come from memory, without workers",
    "cache": "say data.cache_dir={value}",
    "config": "say experiment=NAME for a YAML in conf/experiment",
    "dry_run": "say limit=1 to go through everything with one clip",
    "batch_size": "say data.batch_size={value}",
}
TRAINING = {
    "lr": "say optimizer.lr={value}",
    "weight_decay": "say optimizer.weight_decay={value}",
    "momentum": "say optimizer.momentum={value}, of optimizer=paper",
    "epochs": "say trainer.max_epochs={value}",
    "steps": "say trainer.max_steps={value}",
    "dropout": "say model.network.dropout={value}",
    "sample_rate": "say data.clip.sample_rate={value}, in Hz",
    "duration": "say data.clip.seconds={value}",
    "wandb": "say logger=wandb",
    "resume": "say ckpt_path=…/checkpoints/last.ckpt, of the run that is to go on",
    "checkpoint": "say ckpt_path=…/checkpoints/last.ckpt to go on with a run; python explain.py explains it",
    "corpus": "say data={value}",
    "recordings": "say data.root={value}, with data=folder for recordings of your own",
    "table": "say data=folder data.csv={value}, beside data.root=…",
    "pattern": "say data=folder data.pattern={value}, beside data.root=…",
    "network": "say model={value}",
    "front_end": "say model/front_end={value}",
    "schedule": "say optimizer.schedule.…, whose options conf/optimizer explains",
    "label": "say task=label task.label={value}",
    "folds": "say fold=0 for one, or -m fold=0,1,2,3 for several",
    "explain": "say explain_by=[lrp_epsilon_plus], which explains the network in the end",
    "seconds": "say data.clip.seconds={value}",
    "early_stopping": "put a YAML with Lightning's EarlyStopping into conf/callbacks and choose it with callbacks=…",
    "name": "say hydra.run.dir=outputs/{value}",
    "pretrained": "ckpt_path=…/checkpoints/last.ckpt goes on with a run of your own",
    "test": "leave it out: every training is tested in the end",
    "dry_run": "say trainer.max_epochs=1 trainer.limit_train_batches=1 trainer.limit_val_batches=1"
    " trainer.limit_test_batches=1 to go through everything once",
    "speakers": "say data=folder data.speakers={value}, a table of speakers",
    "class_weights": "say class_weights=balanced",
    "num_classes": "leave it out: the labels say how many classes there are",
    "bands": "say model.front_end.bands={value}, of model=melcnn",
    "val_split": "say fold=0: each fold has speakers of its own to validate and to test",
}
EXPLAINING = {
    "checkpoint": "say checkpoint={value}",
    "method": "say attribution={value}",
    "limit": "say limit={value}",
    "recordings": "say input={value}, a recording or a folder of them",
    "class": "say target={value}",
    "corpus": "leave it out: the checkpoint knows its corpus; data.root=… says where it lies now, and input=… takes"
    " other recordings",
    "wandb": "say logger=wandb",
    "network": "leave it out: the checkpoint brings it",
    "baseline": "say fill={value}: silence, zero, noise or mean",
    "table": "say data.csv={value}",
    "pattern": "say data.pattern={value}, beside input=…",
}
BENCHMARKING = EXPLAINING | {
    "method": "say attributions=[{value}]",
    "domain": "say domains=[{value}]",
    "wandb": "say logger=wandb",
    "recordings": "leave it out: a benchmark takes the test clips; python explain.py has input={value}",
}
SERVING = {
    "checkpoint": "say checkpoint={value}",
    "method": "say attributions=[{value}]",
    "recordings": "say page=record record.root={value} to record, or drop a file on the live page",
    "address": "say host={value}",
    "name": "say study.name={value}, of page=study",
    "words": "say record.words=[…]",
    "domain": "say domains=[{value}]",
}
STUDYING = {
    "recordings": "say results=studies/NAME",
    "checkpoint": "leave it out: python serve.py page=study checkpoint=… makes a study, study.py reads its answers",
}
HINTS = {
    "train": EVERYWHERE | TRAINING,
    "explain": EVERYWHERE | EXPLAINING,
    "benchmark": EVERYWHERE | BENCHMARKING,
    "serve": SERVING | {name: EVERYWHERE[name] for name in ("device", "cpu", "cuda", "gpus")},
    "study": STUDYING,
}
# other words for those above
SAME = {
    "class_weights": "class_weight balanced pos_weight",
    "num_classes": "n_classes nclasses num_labels",
    "bands": "n_mels mels num_mels mel_bins n_mel",
    "val_split": "validation_split test_split test_size val_size val_fraction train_split split_ratio",
    "lr": "learning_rate learningrate rate max_lr base_lr",
    "weight_decay": "wd decay l2",
    "config": "config_file conf cfg configs",
    "dry_run": "dryrun fast_dev_run smoke_test overfit",
    "epochs": "e epoch max_epochs num_epochs n_epochs nepochs num_train_epochs",
    "steps": "max_steps num_steps n_steps iterations iters",
    "device": "devices accelerator hardware",
    "gpus": "gpu num_gpus n_gpus ngpus n_gpu num_gpu gpu_ids nproc nproc_per_node",
    "cpu": "no_cuda no_gpu cpu_only",
    "cuda": "use_cuda use_gpu",
    "precision": "amp fp16 bf16 mixed_precision half",
    "output": "output_dir output_folder output_path out outdir out_dir save_dir save_path savedir result_dir"
    " results_dir logdir log_dir run_dir default_root_dir dest destination run",
    "random_seed": "manual_seed random_state rng",
    "quiet": "silent progress progress_bar no_progress",
    "verbose": "debug v verbosity log_level loglevel",
    "num_workers": "workers n_workers n_jobs jobs threads num_threads",
    "cache": "cache_dir cache_folder cachedir",
    "batch_size": "batchsize batch bs train_batch_size",
    "sample_rate": "sr samplerate sampling_rate fs rate_hz",
    "duration": "length clip_length clip_seconds",
    "wandb": "log_wandb use_wandb tensorboard wandb_project log logger",
    "resume": "resume_from resume_from_checkpoint restart continue load",
    "checkpoint": "ckpt ckpt_path ckpt_file checkpoint_path model_path weights weight model_file model_ckpt"
    " checkpoint_dir run_folder",
    "corpus": "data dataset data_set data_name dataset_name",
    "recordings": "path dir directory folder data_dir data_path data_root root data_folder dataset_path dataset_dir"
    " input_dir inputs file files filename audio wav sound clip recording audio_file audio_path url",
    "table": "csv labels metadata meta annotations label_file csv_path csv_file",
    "pattern": "regex regexp glob filename_pattern",
    "network": "net arch architecture backbone model_name model",
    "front_end": "frontend features feature input_type transform spectrogram mel",
    "schedule": "scheduler lr_scheduler schedule lr_schedule warmup",
    "label": "target labels_column label_column column classes_column y",
    "folds": "n_folds num_folds kfold k_folds cv split splits",
    "explain": "explanation lrp xai relevance explain_with",
    "early_stopping": "patience early_stop earlystopping",
    "name": "run_name experiment_name exp_name exp tag",
    "pretrained": "finetune fine_tune init_from",
    "test": "eval evaluate evaluation test_only validate mode",
    "method": "attribution attributions explainer algorithm technique xai composite rule explain_by",
    "limit": "n num n_clips num_clips n_samples num_samples samples max_clips nb count",
    "class": "class_index target_class label class_name",
    "domain": "domains",
    "address": "ip bind hostname server",
    "words": "vocabulary",
    "speakers": "speaker n_speakers",
    "baseline": "reference masking mask",
}


def meant(option: str, value: str, program: str) -> str:
    """The hint for an option that does not exist; empty if there is none.

    Args:
        option: as the user wrote it, such as "lr", "--learning-rate" without its dashes, "data.path".
        value: the value that the user gave it; may be empty.
        program: "train", "explain", ...
    """
    hints = HINTS.get(program, {})
    last = option.lower().replace("-", "_").rpartition(".")[2]
    names = [last, *(name for name, others in SAME.items() if last in others.split())]
    for name in names:
        if name in hints:
            bare = value.strip("[]")
            hint = hints[name].replace("say ", "say -m ") if "," in bare and "[" not in hints[name] else hints[name]
            return hint.replace("{value}", bare or "…")
    return ""


def closest(option: str, options: Iterable[str]) -> str:
    """The option with the closest spelling, or an empty text. Within a group, names are compared without the group."""
    group, _, last = option.lower().rpartition(".")
    names = {name.lower(): name for name in options}
    within = {name.rpartition(".")[2]: name for name in names if name.rpartition(".")[0] == group}
    if group and within:
        close = difflib.get_close_matches(last, within, n=1, cutoff=0.7)
        return names[within[close[0]]] if close else ""
    close = difflib.get_close_matches(option.lower(), names, n=1, cutoff=0.7)
    return names[close[0]] if close else ""
